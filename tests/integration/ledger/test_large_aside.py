"""A row of a large reservation that cannot be worked off rests, and holds nobody else up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from services.ledger.booking import store as bookings
from services.ledger.large_reservations import store as large_reservations
from tests.integration.ledger.desk import STEPS, Desk
from tests.support.ledger import ALLOCATING, MARCH_20

pytestmark = pytest.mark.database


Aside = tuple[Callable[..., Any], Callable[..., Any], int]
ASIDE: dict[str, Aside] = {
    "hold": (large_reservations.next_to_hold, large_reservations.set_aside, 0),
    "allocate": (large_reservations.next_promise, large_reservations.set_promise_aside, 1),
    "answer": (large_reservations.next_to_answer, large_reservations.set_aside, STEPS - 1),
}
REST = timedelta(minutes=1)


@pytest.mark.parametrize("name", ASIDE)
async def test_a_row_that_is_set_aside_rests_and_lets_others_pass(name: str, desk: Desk) -> None:
    claim, set_aside, before = ASIDE[name]
    other = Desk(desk.ledger, account_id=2)
    for one in (desk, other):
        await one.opened()
        await one.ask()
    for _ in range(2 * before):
        await desk.ledger.job(*ALLOCATING[0]) or await desk.ledger.job(*ALLOCATING[2])
    async with desk.ledger.database.transaction() as db:
        await set_aside(await claim(db, MARCH_20, MARCH_20), db, MARCH_20 + REST)
        found = await claim(db, MARCH_20, MARCH_20)
        assert getattr(found, "reservation", found).account_id == 2, "its own rests"
        await set_aside(found, db, MARCH_20 + 2 * REST)
        assert await claim(db, MARCH_20 + REST - timedelta(seconds=1), MARCH_20) is None
        found = await claim(db, MARCH_20 + 3 * REST, MARCH_20)
        assert getattr(found, "reservation", found).account_id == 1, "who rests longer comes later"


async def test_orders_behind_one_that_is_set_aside_wait_and_those_on_other_reservations_do_not(desk: Desk) -> None:
    other = Desk(desk.ledger, account_id=2)
    for one in (desk, other):
        await one.opened()
        await one.held()
    for _ in range(2):
        await desk.release()
    await other.release()
    async with desk.ledger.database.transaction() as db:
        first = await bookings.next_task(db, MARCH_20, MARCH_20)
        assert first is not None
        await bookings.set_aside(first, db, MARCH_20 + REST)
        passing = await bookings.next_task(db, MARCH_20, MARCH_20)
        assert passing is not None
        assert (first.task.account_id, passing.task.account_id) == (1, 2)
        await bookings.set_aside(passing, db, MARCH_20 + 2 * REST)
        assert await bookings.next_task(db, MARCH_20, MARCH_20) is None, "the second waits behind the first"
        again = await bookings.next_task(db, MARCH_20 + 3 * REST, MARCH_20)
        assert again is not None
        assert again.task_id == first.task_id


async def test_a_question_that_cannot_be_read_any_more_holds_nobody_up(desk: Desk) -> None:
    await desk.opened()
    await desk.ask()
    async with desk.ledger.database.transaction() as db:
        await db.execute("UPDATE reservation SET command = '{}' WHERE large")
        found = await large_reservations.next_to_hold(db, MARCH_20, MARCH_20)
        assert found is not None, "it is found, and so can be set aside"
        with pytest.raises(ValidationError):
            _ = found.command
