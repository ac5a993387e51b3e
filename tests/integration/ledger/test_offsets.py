"""Deficits on real PostgreSQL: paid first, given back when the request comes to nothing, and never paid twice."""

import asyncio

import asyncpg
import pytest

from shared.contracts.ledger import BalanceReserved, ReservationRefused, ReserveBalance
from shared.contracts.message import Message
from tests.support.examples import a_command, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger

pytestmark = pytest.mark.database


async def test_the_next_request_of_the_subject_pays_first(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 50_000))
    assert await ledger.figures() == (100_000, 0, 50_000, 20_000)
    reserved = await ledger.reserve("O2")
    assert [(one.from_number, one.to_number, one.amount_fen) for one in reserved.offsets] == [("O2", "F1", 20_000)]
    assert await ledger.figures() == (100_000, 30_000, 0, 0)
    await ledger.issued(reserved)
    assert await ledger.places() == {"D1": (0, 0, 100_000, -20_000), "O2": (0, 0, 30_000, 20_000)}


async def test_a_request_that_fails_leaves_the_deficit_as_it_was(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 50_000))
    await ledger.failed(await ledger.reserve("O2"))
    assert await ledger.figures() == (100_000, 0, 50_000, 20_000)
    await ledger.reserve("O2", request_id=2)
    await ledger.released(request_id=2)
    await ledger.released(request_id=2)
    assert await ledger.figures() == (100_000, 0, 50_000, 20_000)


async def test_a_selection_equal_to_the_deficit_leaves_nothing_to_invoice(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 20_000))
    reserved = await ledger.reserve("O2")
    assert (reserved.groups, reserved.total_fen) == ((), 0)
    assert await ledger.figures() == (100_000, 0, 0, 0)


async def test_what_does_not_cover_the_deficit_is_refused_and_moves_nothing(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 19_999))
    refused = await ledger.refusal("O2")
    assert (refused.reason, refused.detail["shortfall_fen"]) == ("DEFICIT_NOT_COVERED", 1)
    refused = await ledger.refusal(amount_fen=5, request_id=2)
    assert (refused.reason, refused.detail["shortfall_fen"]) == ("SELECTION_BELOW_AMOUNT_PLUS_DEFICIT", 6)
    assert await ledger.figures() == (100_000, 0, 19_999, 20_000)


async def test_a_deficit_is_paid_without_an_invoice(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 50_000))
    answer = await ledger.pay_deficit("O2", amount_fen=15_000)
    assert isinstance(answer, BalanceReserved)
    assert (answer.groups, sum(one.amount_fen for one in answer.offsets)) == ((), 15_000)
    assert await ledger.figures() == (100_000, 0, 35_000, 5_000)
    assert await ledger.pay_deficit("O2", amount_fen=15_000) == answer, "asking again gives the first answer"
    too_much = await ledger.pay_deficit(amount_fen=5_001, request_id=2)
    assert isinstance(too_much, ReservationRefused)
    assert too_much.reason == "OFFSET_ABOVE_DEFICIT"


async def test_the_oldest_consumption_pays_when_none_is_named(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(an_order("O2", 15_000), an_order("O3", 50_000, at=MARCH_20))
    answer = await ledger.pay_deficit()
    assert isinstance(answer, BalanceReserved)
    assert [(one.from_number, one.amount_fen) for one in answer.offsets] == [("O2", 15_000), ("O3", 5_000)]


async def test_the_last_refund_is_named_as_the_cause(ledger: Ledger) -> None:
    await ledger.in_deficit(5_000)
    await ledger.bill(a_refund("F2", of="D1", cash_fen=100, at=MARCH_20), an_order("O2", 50_000), now=MARCH_20)
    (pair,) = (await ledger.reserve("O2")).offsets
    assert (pair.to_number, pair.amount_fen) == ("F2", 5_100)


async def test_thirty_at_once_pay_a_deficit_once(ledger: Ledger) -> None:
    await ledger.in_deficit()
    await ledger.bill(*(an_order(f"O{number}", 1_000) for number in range(2, 42)))
    commands = [a_command(request_id=number, amount_fen=1_000) for number in range(1, 31)]
    answers = await asyncio.gather(*(_patiently(ledger, command) for command in commands))
    reserved = [answer for answer in answers if isinstance(answer, BalanceReserved)]
    assert sum(pair.amount_fen for answer in reserved for pair in answer.offsets) == 20_000
    assert sum(answer.total_fen for answer in reserved) == 20_000
    assert await ledger.figures() == (100_000, 20_000, 0, 0)


async def _patiently(ledger: Ledger, command: ReserveBalance) -> Message:
    """A deadlock is a transient error: the runtime tries again."""
    for _ in range(20):
        try:
            return await ledger.ask(command)
        except asyncpg.TransactionRollbackError:
            continue
    raise AssertionError("transient errors for ever")
