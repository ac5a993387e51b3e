"""A reservation over more items than one transaction takes: held at once, allocated in bounded steps, and answered or refused."""

import pytest

from shared.contracts.ledger import (
    BalanceReserved,
    ReservationRefused,
    ReservationReleased,
)
from tests.integration.ledger.desk import STEPS, Desk, of, the
from tests.support.ledger import Ledger

pytestmark = pytest.mark.database


async def test_everything_is_held_at_once_and_taken_in_bounded_steps(desk: Desk) -> None:
    await desk.opened()
    assert await desk.ask() == []
    allocated = [await desk.allocations() for _ in range(STEPS) if await desk.allocating() == []]
    assert allocated == [0, 2, 4, 6]
    assert await desk.figures() == (0, 600, 0, 0)
    assert await desk.worked() == []
    assert await desk.free() == [0] * 6
    await desk.rests()


async def test_the_answer_says_what_was_taken(desk: Desk) -> None:
    await desk.opened()
    await desk.order("G", 50, "ALIYUN_GOODS")
    reserved = await desk.held()
    assert [(group.subject, group.count, group.amount_fen) for group in reserved.groups] == [
        ("ALIYUN_GOODS", 1, 50),
        ("ALIYUN_SERVICE", 6, 600),
    ]
    assert (reserved.total_fen, reserved.offsets) == (650, ())
    await desk.rests()


async def test_by_amount_the_oldest_are_taken_and_the_rest_stays(desk: Desk) -> None:
    await desk.opened()
    reserved = await desk.held(450)
    assert reserved.total_fen == 450
    assert await desk.free() == [0, 0, 0, 0, 50, 100]
    await desk.rests()


@pytest.mark.parametrize(("amount_fen", "free"), [(None, [0] * 6), (300, [0, 0, 0, 0, 0, 50])])
async def test_a_deficit_is_paid_first_by_the_oldest(desk: Desk, amount_fen: int | None, free: list[int]) -> None:
    await desk.opened(deficit_fen=250)
    reserved = await desk.held(amount_fen)
    assert [(pair.from_number, pair.amount_fen) for pair in reserved.offsets] == [("O0", 100), ("O1", 100), ("O2", 50)]
    assert reserved.total_fen == (amount_fen or 350)
    assert await desk.free() == free
    assert await desk.figures() == (1000, reserved.total_fen, 350 - reserved.total_fen, 0)
    await desk.rests()


async def test_two_accounts_are_taken_together_each_in_its_own_groups(desk: Desk) -> None:
    member = Desk(desk.ledger, account_id=2)
    await desk.opened()
    await member.opened(deficit_fen=20)
    reserved = await desk.held(accounts=(1, 2))
    assert sorted((group.account_id, group.amount_fen) for group in reserved.groups) == [(1, 600), (2, 580)]
    assert [pair.account_id for pair in reserved.offsets] == [2]
    assert (await desk.figures(), await member.figures()) == ((0, 600, 0, 0), (1000, 580, 0, 0))
    await desk.part("issued", reserved)
    await desk.worked()
    assert (await desk.figures(), await member.figures()) == ((600, 0, 0, 0), (1580, 0, 0, 0))
    await desk.rests()


REFUSALS = {
    "by amount": (0, 601, "INSUFFICIENT_INVOICEABLE", {"need_fen": 601, "have_fen": 600, "shortfall_fen": 1}),
    "by amount with a deficit": (
        *(50, 551, "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT"),
        {"need_fen": 601, "have_fen": 600, "shortfall_fen": 1, "deficit_fen": 50},
    ),
    "a deficit above everything": (
        *(601, None, "DEFICIT_NOT_COVERED"),
        {"subject": "ALIYUN_SERVICE", "deficit_fen": 601, "have_fen": 600, "shortfall_fen": 1},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_one_fen_short_is_refused_with_the_figures_and_holds_nothing(desk: Desk, case: str) -> None:
    deficit_fen, amount_fen, reason, detail = REFUSALS[case]
    await desk.opened(deficit_fen)
    before = await desk.figures()
    assert await desk.ask(amount_fen) == []
    refused = the(ReservationRefused, await desk.worked())
    assert (refused.reason, refused.detail) == (reason, detail)
    assert (await desk.figures(), await desk.free()) == (before, [100] * 6)
    await desk.rests()


async def test_a_deficit_that_too_many_items_would_have_to_pay_is_refused(desk: Desk) -> None:
    await desk.opened(deficit_fen=450)
    await desk.ask()
    assert the(ReservationRefused, await desk.worked()).reason == "SELECTION_TOO_LARGE"
    assert await desk.figures() == (1000, 0, 600, 450)
    await desk.rests()


@pytest.mark.parametrize(("orders", "at_once"), [(2000, True), (2001, False)])
async def test_two_thousand_items_are_taken_at_once_and_one_more_in_steps(
    ledger: Ledger, orders: int, at_once: bool
) -> None:
    desk = Desk(ledger, orders=orders)
    await desk.opened()
    answers = await desk.ask()
    assert bool(answers) == at_once
    reserved = the(BalanceReserved, answers + await desk.worked())
    assert (reserved.total_fen, reserved.groups[0].count) == (100 * orders, orders)
    assert len(of(ReservationReleased, await desk.release() + await desk.worked())) == 1
    assert await desk.figures() == (0, 0, 100 * orders, 0)
    await desk.rests()
