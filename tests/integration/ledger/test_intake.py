"""A billing document takes effect whole or is parked whole, once; a refund finds its original, and never exceeds it."""

from datetime import datetime, timedelta

import pytest

from services.ledger.intake.billing_documents import claim_overdue
from services.ledger.intake.handlers import billing_facts, cash_topped_up, refund_overdue
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillAdjusted, Line, OrderPaid, RefundLine, RefundSettled, UsageRecorded
from shared.contracts.ledger import RefundUnmatched
from shared.contracts.message import Message, Park
from tests.support.examples import MARCH_10, a_bill, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger

pytestmark = pytest.mark.database


def lines(*fen: int) -> tuple[Line, ...]:
    return tuple(Line(subject="ALIYUN_SERVICE", cash_fen=one) for one in fen)


def an_order_of(number: str, *fen: int) -> OrderPaid:
    return OrderPaid(account_id=1, number=number, occurred_at=MARCH_10, lines=lines(*fen))


def a_refund_of(number: str, of: str, *fen: int) -> RefundSettled:
    refunds = tuple(RefundLine(original_line=line, cash_fen=one) for line, one in enumerate(fen, 1))
    return RefundSettled(account_id=1, number=number, original_number=of, occurred_at=MARCH_10, lines=refunds)


async def settled(ledger: Ledger) -> dict[tuple[str, int], tuple[int, int]]:
    """Settled and refunded fen of each line."""
    async with ledger.database.read() as db:
        rows = await db.fetch("SELECT number, line, settled_fen, refunded_fen FROM item ORDER BY number, line")
    return {(row["number"], row["line"]): (row["settled_fen"], row["refunded_fen"]) for row in rows}


async def look_again(ledger: Ledger, now: datetime) -> list[Message]:
    """What is said of every refund that is due."""
    return await ledger.worked(claim_overdue, refund_overdue, now)


async def test_the_same_number_with_a_line_more_is_another_document_and_nothing_of_it_counts(ledger: Ledger) -> None:
    await ledger.bill(an_order_of("O1", 100))
    assert await ledger.bill(an_order_of("O1", 100, 50), an_order_of("O2", 7)) == ["CONTENT_CONFLICT"]
    assert await settled(ledger) == {("O1", 1): (100, 0), ("O2", 1): (7, 0)}


async def test_of_twins_in_one_batch_the_first_counts_and_whoever_differs_is_parked(ledger: Ledger) -> None:
    facts = [an_order_of("O1", 100), an_order_of("O1", 200), an_order_of("O1", 100), an_order_of("O2", 1)]
    parked = [one for one in await ledger.facts(*facts) if isinstance(one, Park)]
    assert [(one.message, one.reason) for one in parked] == [(facts[1], "CONTENT_CONFLICT")]
    assert await settled(ledger) == {("O1", 1): (100, 0), ("O2", 1): (1, 0)}


async def test_a_conflict_in_one_half_of_an_adjustment_parks_both(ledger: Ledger) -> None:
    await ledger.bill(an_order_of("O1", 100))
    up = BillAdjusted(
        account_id=1, number="A1", occurred_at=MARCH_10, original_number="O1", cycle="202603", lines=lines(5)
    )
    await ledger.bill(up)
    both = up.model_copy(update={"refunds": (RefundLine(cash_fen=9),)})
    assert await ledger.bill(both) == ["CONTENT_CONFLICT"]
    assert await settled(ledger) == {("A1", 1): (5, 0), ("O1", 1): (100, 0)}


async def test_an_adjustment_that_refunds_too_much_adds_nothing_either(ledger: Ledger) -> None:
    await ledger.bill(an_order_of("O1", 100))
    both = BillAdjusted(
        account_id=1,
        number="A1",
        occurred_at=MARCH_10,
        original_number="O1",
        cycle="202603",
        lines=lines(50),
        refunds=(RefundLine(cash_fen=101),),
    )
    for _ in range(2):
        assert await ledger.bill(both, an_order_of("O2", 7)) == ["REFUND_EXCEEDS_ORIGINAL"]
        assert await settled(ledger) == {("O1", 1): (100, 0), ("O2", 1): (7, 0)}
    assert await ledger.bill(both.model_copy(update={"refunds": (RefundLine(cash_fen=100),)})) == []
    assert await settled(ledger) == {("A1", 1): (50, 0), ("O1", 1): (100, 100), ("O2", 1): (7, 0)}


async def test_a_document_is_the_same_when_the_contract_has_grown(ledger: Ledger) -> None:
    class Tomorrow(OrderPaid):
        channel: str | None = None

    def tomorrows(**more: str) -> OrderPaid:
        grown: OrderPaid = Tomorrow.model_validate(an_order().model_dump() | more)
        grown.__class__.__name__ = "OrderPaid"
        return grown

    await ledger.bill(an_order())
    assert await ledger.bill(tomorrows()) == []
    assert await ledger.bill(tomorrows(channel="partner")) == ["CONTENT_CONFLICT"]


@pytest.mark.parametrize(
    "refunds",
    [
        [a_refund_of("F1", "O1", 101)],
        [a_refund_of("F1", "O1", 1, 51)],
        [a_refund_of("F0", "O1", 60), a_refund_of("F1", "O1", 41)],
    ],
    ids=["one line", "the second line", "two refunds together"],
)
async def test_a_refund_larger_than_what_is_left_is_parked_whole(ledger: Ledger, refunds: list[RefundSettled]) -> None:
    await ledger.bill(an_order_of("O1", 100, 50))
    before = sum(line.cash_fen for one in refunds[:-1] for line in one.lines)
    (park,) = [one for one in await ledger.facts(*refunds) if isinstance(one, Park)]
    assert (park.message, park.reason) == (refunds[-1], "REFUND_EXCEEDS_ORIGINAL")
    assert "O1" in park.text
    assert await settled(ledger) == {("O1", 1): (100, before), ("O1", 2): (50, 0)}
    assert await ledger.bill(refunds[-1]) == ["REFUND_EXCEEDS_ORIGINAL"], "a redrive finds the same"


async def test_a_refund_waits_for_its_original_and_counts_when_it_comes(ledger: Ledger) -> None:
    assert await ledger.bill(a_refund("F1", of="O1", cash_fen=40)) == []
    assert await ledger.balance() is None
    await ledger.bill(an_order_of("O1", 100))
    assert await settled(ledger) == {("O1", 1): (100, 40)}


async def test_a_refund_without_an_original_is_told_of_once_after_a_day_and_still_counts_later(ledger: Ledger) -> None:
    await ledger.bill(a_refund("F1", of="O1", cash_fen=40))
    assert await look_again(ledger, MARCH_20 + timedelta(hours=23, minutes=59)) == []
    (told,) = await look_again(ledger, MARCH_20 + timedelta(hours=24))
    assert isinstance(told, RefundUnmatched)
    assert (told.number, told.original_number, told.waiting_since, told.reason) == (
        *("F1", "O1", MARCH_20),
        "ORIGINAL_MISSING",
    )
    assert await look_again(ledger, MARCH_20 + timedelta(days=9)) == []
    await ledger.bill(an_order_of("O1", 100), now=MARCH_20 + timedelta(days=9))
    assert await settled(ledger) == {("O1", 1): (100, 40)}


async def test_a_refund_whose_original_turns_out_smaller_never_counts_and_is_told_of(ledger: Ledger) -> None:
    await ledger.bill(a_refund("F1", of="O1", cash_fen=140))
    assert await ledger.bill(an_order_of("O1", 100)) == []
    (told,) = await look_again(ledger, MARCH_20 + timedelta(hours=24))
    assert isinstance(told, RefundUnmatched)
    assert told.reason == "REFUND_EXCEEDS_ORIGINAL"
    assert await settled(ledger) == {("O1", 1): (100, 0)}


async def test_a_refund_and_its_original_that_come_at_the_same_moment_find_each_other_a_minute_later(
    ledger: Ledger,
) -> None:
    """Two processes: neither sees what the other has not committed yet."""
    async with ledger.database.transaction() as db:
        await billing_facts([an_order_of("O1", 100)], db, MARCH_20, catalogue=ledger.catalogue)
        await ledger.bill(a_refund("F1", of="O1", cash_fen=40))
    assert await settled(ledger) == {("O1", 1): (100, 0)}
    assert await look_again(ledger, MARCH_20 + timedelta(seconds=59)) == []
    assert await settled(ledger) == {("O1", 1): (100, 0)}
    assert await look_again(ledger, MARCH_20 + timedelta(seconds=60)) == []
    assert await settled(ledger) == {("O1", 1): (100, 40)}


async def test_a_top_up_counts_once_under_its_number(ledger: Ledger) -> None:
    fact = CashToppedUp(account_id=1, occurred_at=MARCH_10, number="T1", cash_fen=500)
    other = fact.model_copy(update={"cash_fen": 600})

    async def top_up(one: CashToppedUp) -> list[Message | Park]:
        async with ledger.database.transaction() as db:
            return await cash_topped_up(one, db, MARCH_20)

    assert await top_up(fact) == []
    assert await top_up(fact) == []
    (park,) = await top_up(other)
    assert isinstance(park, Park)
    assert park.reason == "CONTENT_CONFLICT"
    async with ledger.database.read() as db:
        assert await db.fetchval("SELECT topped_fen FROM cash WHERE account_id = 1") == 500


async def test_an_order_of_the_vendor_never_opens_and_one_of_an_unknown_type_is_parked(ledger: Ledger) -> None:
    def an_order_typed(number: str, order_type: str) -> OrderPaid:
        line = Line(subject="ALIYUN_SERVICE", cash_fen=100, order_type=order_type)
        return an_order(number).model_copy(update={"lines": (line,)})

    facts = [an_order_typed("O1", "marketplace_vendor"), an_order_typed("O2", "renewal"), an_order_typed("O3", "gift")]
    (park,) = [one for one in await ledger.facts(*facts) if isinstance(one, Park)]
    assert (park.message, park.reason) == (facts[2], "NO_CATALOGUE_ROW")
    assert "gift" in park.text
    found = await ledger.balance()
    assert found is not None
    assert (found.consumed_fen, found.available_fen) == (100, 100)


async def test_a_refusal_says_why_a_document_cannot_be_invoiced_and_when_it_can(ledger: Ledger) -> None:
    def of_type(number: str, order_type: str) -> OrderPaid:
        line = Line(subject="ALIYUN_SERVICE", cash_fen=100, order_type=order_type)
        return an_order(number).model_copy(update={"lines": (line,)})

    usage = UsageRecorded(account_id=1, number="U1", occurred_at=MARCH_10, lines=lines(5))
    vendor, nobody = of_type("V1", "marketplace_vendor"), of_type("N1", "domain_auction")
    await ledger.bill(a_bill("B1", 100, cycle="202603"), usage, vendor, nobody, an_order("O1", 10))
    await ledger.bill(a_refund("F1", of="O1", cash_fen=1))
    opens = "2026-04-02T16:00:00+00:00"
    said = {
        number: await ledger.refusal(number, request_id=place + 1)
        for place, number in enumerate(("B1", "U1", "V1", "N1", "X", "F1"))
    }
    assert {number: (one.reason, one.detail) for number, one in said.items()} == {
        "B1": ("ITEM_NOT_INVOICEABLE", {"number": "B1", "why": "NOT_OPEN_YET", "earliest_at": opens}),
        "U1": ("ITEM_NOT_INVOICEABLE", {"number": "U1", "why": "BILL_NOT_SETTLED", "earliest_at": opens}),
        "V1": ("ITEM_NOT_INVOICEABLE", {"number": "V1", "why": "VENDOR_INVOICES_IT"}),
        "N1": ("ITEM_NOT_INVOICEABLE", {"number": "N1", "why": "NOBODY_INVOICES_IT"}),
        "X": ("ITEM_NOT_INVOICEABLE", {"number": "X", "why": "UNKNOWN_DOCUMENT"}),
        "F1": ("NEGATIVE_SELECTED_ALONE", {"number": "F1"}),
    }
