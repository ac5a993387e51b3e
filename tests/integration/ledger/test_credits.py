"""A credit note gives back what its invoice took; deficits are told of when they open, change and close."""

from datetime import timedelta

import pytest

from shared.contracts.ledger import AmountCredited, AmountInvoiced, BalanceChanged, DeficitClosed, DeficitOpened
from shared.contracts.message import Message, Unacceptable
from tests.support.examples import a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger

pytestmark = pytest.mark.database


def deficits(messages: list[Message]) -> list[tuple[str, int]]:
    return [(type(one).__name__, one.deficit_fen) for one in messages if isinstance(one, DeficitOpened | DeficitClosed)]


async def test_the_amount_comes_back_once_and_finance_is_told_of_both(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1", 1_000))
    reserved = await ledger.reserve("O1")
    (invoiced,) = await ledger.issued(reserved)
    assert isinstance(invoiced, AmountInvoiced)
    assert (invoiced.amount_fen, invoiced.part_id, invoiced.subject) == (1_000, 1, "ALIYUN_SERVICE")
    (credited,) = await ledger.credited(reserved)
    assert isinstance(credited, AmountCredited)
    assert credited.amount_fen == 1_000
    assert await ledger.figures() == (0, 0, 1_000, 0)
    assert await ledger.credited(reserved) == []
    assert await ledger.issued(reserved) == []
    assert await ledger.figures() == (0, 0, 1_000, 0)


async def test_a_refunded_invoice_that_is_credited_leaves_no_deficit(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1", 120_000))
    reserved = await ledger.reserve("O1")
    await ledger.issued(reserved)
    await ledger.bill(a_refund("F1", of="O1", cash_fen=20_000))
    assert await ledger.figures() == (120_000, 0, 0, 20_000)
    await ledger.credited(reserved)
    assert await ledger.figures() == (0, 0, 100_000, 0)
    await ledger.issued(await ledger.reserve("O1", request_id=2), part_id=2)
    assert await ledger.figures() == (100_000, 0, 0, 0)


async def test_exactly_the_items_of_the_credited_part_come_back(ledger: Ledger) -> None:
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(1, 5)))
    reserved = await ledger.reserve("O1", "O2", "O3", "O4")
    await ledger.issued(reserved, part_id=1, gross_fen=150)
    await ledger.issued(reserved, part_id=2, gross_fen=250)
    await ledger.credited(reserved, part_id=2, gross_fen=250)
    assert await ledger.places() == {
        "O1": (0, 0, 100, 0),
        "O2": (50, 0, 50, 0),
        "O3": (100, 0, 0, 0),
        "O4": (100, 0, 0, 0),
    }


async def test_an_offset_stays_when_the_invoice_of_its_request_is_credited(ledger: Ledger) -> None:
    await ledger.in_deficit(20_000)
    await ledger.bill(an_order("O2", 50_000))
    reserved = await ledger.reserve("O2")
    await ledger.issued(reserved)
    await ledger.credited(reserved)
    assert await ledger.figures() == (100_000, 0, 30_000, 0)
    assert await ledger.places() == {"D1": (0, 0, 100_000, -20_000), "O2": (30_000, 0, 0, 20_000)}


async def test_an_offset_stays_when_one_part_is_credited_and_the_other_fails(ledger: Ledger) -> None:
    await ledger.in_deficit(20_000)
    await ledger.bill(an_order("O2", 50_000))
    reserved = await ledger.reserve("O2")
    await ledger.issued(reserved, part_id=1, gross_fen=10_000)
    await ledger.credited(reserved, part_id=1, gross_fen=10_000)
    await ledger.failed(reserved, part_id=2, gross_fen=20_000)
    assert await ledger.figures() == (100_000, 0, 30_000, 0)


async def test_a_credit_of_what_was_never_booked_is_not_guessed(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1", 1_000))
    reserved = await ledger.reserve("O1")
    with pytest.raises(Unacceptable, match="CREDIT_BEFORE_ISSUE"):
        await ledger.credited(reserved)
    await ledger.issued(reserved)
    await ledger.credited(reserved)
    assert await ledger.figures() == (0, 0, 1_000, 0)


async def test_deficits_are_told_when_they_open_change_and_close_and_not_twice(ledger: Ledger) -> None:
    await ledger.bill(an_order("D1", 100_000))
    await ledger.issued(await ledger.reserve("D1", request_id=1000), part_id=1000)
    assert deficits(await ledger.balances_published()) == []
    later = iter(MARCH_20 + timedelta(minutes=minute) for minute in range(1, 9))
    await ledger.bill(a_refund("F1", of="D1", cash_fen=20_000))
    assert deficits(await ledger.balances_published(next(later))) == [("DeficitOpened", 20_000)]
    await ledger.bill(a_refund("F2", of="D1", cash_fen=5_000))
    assert deficits(await ledger.balances_published(next(later))) == [("DeficitOpened", 25_000)]
    await ledger.bill(an_order("O2", 100, subject="ALIYUN_GOODS"))
    told = await ledger.balances_published(next(later))
    assert ([type(one) for one in told], deficits(told)) == ([BalanceChanged], [])
    await ledger.bill(an_order("O3", 25_000))
    await ledger.pay_deficit("O3")
    assert deficits(await ledger.balances_published(next(later))) == [("DeficitClosed", 0)]


async def test_a_document_over_more_than_its_reservation_ever_held_is_parked_and_nothing_of_it_is_booked(
    ledger: Ledger,
) -> None:
    await ledger.bill(an_order("O1", 1_000))
    reserved = await ledger.reserve("O1")
    await ledger.issued(reserved, part_id=1, gross_fen=600)
    with pytest.raises(Unacceptable, match="SHARES_NOT_HELD"):
        await ledger.issued(reserved, part_id=2, gross_fen=600)
    assert await ledger.figures() == (600, 400, 0, 0)
