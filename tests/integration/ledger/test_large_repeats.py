"""A large reservation asked for again, cut off by a crash in each step, or worked on by two at once."""

import asyncio
from datetime import timedelta

import pytest

from shared.contracts.ledger import (
    BalanceReserved,
    ReservationRefused,
    ReservationReleased,
)
from tests.integration.ledger.desk import STEPS, Desk, at_each_step, of, the
from tests.support.examples import MARCH_10, a_bill

pytestmark = pytest.mark.database


async def test_asking_again_meanwhile_changes_nothing_and_afterwards_gives_the_answer(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(STEPS + 1)):
        await one.ask()
        said = await one.steps(before)
        again = await one.ask()
        said += await one.worked()
        assert again == (said if before == STEPS else [])
        assert await one.ask() == said
        assert await one.figures() == (0, 600, 0, 0)


async def test_a_crash_in_each_step_changes_nothing(desk: Desk) -> None:
    await desk.opened(deficit_fen=250)
    desk.crashing = True
    reserved = await desk.held()
    assert (reserved.total_fen, await desk.figures()) == (350, (1000, 350, 0, 0))
    await desk.release()
    assert the(ReservationReleased, await desk.worked()).released_fen == 350
    assert await desk.figures() == (1000, 0, 600, 250)
    await desk.rests()


async def test_two_workers_at_once_do_each_step_once(desk: Desk) -> None:
    others = [Desk(desk.ledger, account_id) for account_id in (2, 3)]
    desk = Desk(desk.ledger, orders=12)
    await desk.opened(deficit_fen=20)
    for other in others:
        await other.opened()
        await other.ask()
    assert await desk.ask(500) + await desk.ask(450, request_id=2) == []
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    answers = [message for messages in said for message in messages] + await desk.worked()
    totals = sorted((one.account_id, one.request_id, one.total_fen) for one in of(BalanceReserved, answers))
    assert totals == [(1, 1, 500), (1, 2, 450), (2, 1, 600), (3, 1, 600)]
    for other in (desk, *others):
        await other.release()
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    assert sum(len(of(ReservationReleased, messages)) for messages in said) == 3
    await desk.rests()


async def test_two_workers_at_different_sums_give_what_prints_alike_one_number(desk: Desk) -> None:
    """Two bills of a month that came at different times are of two sums and print alike."""
    for bill, at in (("B1", MARCH_10), ("B2", MARCH_10 + timedelta(days=1))):
        lines = tuple(
            a_bill(bill, 100, "202602").lines[0].model_copy(update={"spec": f"spec {number % 3}"})
            for number in range(9)
        )
        await desk.ledger.facts(a_bill(bill, 100, "202602", at=at).model_copy(update={"lines": lines}), now=at)
    assert await desk.ask() == []
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    reserved = the(BalanceReserved, [message for messages in said for message in messages] + await desk.worked())
    found = sorted((one.group_no, one.count, one.amount_fen) for one in reserved.groups)
    assert found == [(number, 6, 600) for number in (1, 2, 3)]
    assert {one.spec for one in reserved.groups} == {"spec 0", "spec 1", "spec 2"}
    await desk.part("issued", reserved, 1, g2=600)
    await desk.worked()
    assert await desk.figures() == (600, 1200, 0, 0)


async def test_beside_a_large_one_a_small_one_finds_what_is_free_also_before_its_own_month(desk: Desk) -> None:
    """Only months that have something free are looked through; a bill of February that was said to be of January is found all the same."""
    await desk.opened()
    assert await desk.ask() == []
    await desk.steps(1)
    await desk.ledger.bill(a_bill("B", 50, "202602", at=MARCH_10 - timedelta(days=60)))
    assert the(BalanceReserved, await desk.ask(40, request_id=2)).total_fen == 40
    assert the(ReservationRefused, await desk.ask(11, request_id=3)).detail["have_fen"] == 10
    assert the(BalanceReserved, await desk.worked()).total_fen == 600
