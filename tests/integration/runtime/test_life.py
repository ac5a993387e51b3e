"""A runtime's life: it starts, waits for answers, notices a task that has ended, and ends; and what happens to it beside others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from asyncpg import Connection

from deploy.demo.client import eventually
from shared.contracts.ledger import ReleaseReservation
from shared.contracts.message import Message, Park
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime, Service
from shared.runtime.transport import NotDone
from tests.conftest import OpenDatabase
from tests.support.counting import Counting, Stand

pytestmark = pytest.mark.database


@pytest.fixture
async def runtime(open_database: OpenDatabase, tmp_path: Path) -> AsyncIterator[Runtime]:
    (tmp_path / "001.sql").write_text("CREATE TABLE answer (number int)", encoding="utf-8")
    database: Database = await open_database(tmp_path)
    one = Runtime(Service("ledger", tmp_path), database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    await one.start()
    yield one
    await one.stop()


async def answer(db: Connection) -> int | None:
    found: int | None = await db.fetchval("SELECT number FROM answer")
    return found


async def test_who_waits_is_woken_by_the_answer_of_whoever_gives_it(runtime: Runtime) -> None:
    waiting = asyncio.create_task(runtime.wait_for("answers", "7", answer, 30.0))
    async with runtime.database.transaction() as db:
        await db.execute("INSERT INTO answer VALUES (7)")
        await db.execute("SELECT pg_notify('answers', '7'), pg_notify('answers', 'nobody')")
    assert await waiting == 7


async def test_who_waits_in_vain_looks_a_last_time(runtime: Runtime) -> None:
    assert await runtime.wait_for("answers", "7", answer, 0.01) is None


async def test_a_task_that_ends_is_noticed(runtime: Runtime) -> None:
    assert runtime.failed_task() is None
    runtime.spawn(asyncio.sleep(0))
    await asyncio.wait(runtime._tasks, return_when=asyncio.FIRST_COMPLETED)
    assert str(runtime.failed_task()) == "a task ended"


async def test_a_record_whose_counts_are_taken_away_is_handed_back_and_never_passed_over(
    stand: Stand, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an operator, between two attempts: it is tried as often as one round allows, and then it comes again."""

    async def forgotten(_: float) -> None:
        await stand.as_owner("UPDATE runtime.record_attempt SET tries = 0, failed = 0")

    monkeypatch.setattr(stand.clock, "pause", forgotten)
    counting.problems = [ValueError() for _ in range(20)]
    with pytest.raises(NotDone):
        await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.parked() == []


async def test_two_owners_of_a_partition_at_once_have_one_effect(stand: Stand, counting: Counting) -> None:
    """The second one gets to the inbox while the first one has not committed, and waits there."""
    record = stand.arrived(1)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(ask: ReleaseReservation, db: Connection, now: datetime) -> Sequence[Message | Park]:
        begun.set()
        await goes_on.wait()
        return await counting.release(ask, db, now)

    service = replace(stand.service, handlers={ReleaseReservation: slowly})
    other = Runtime(service, stand.database, MemoryTransport(stand.log), stand.clock, stand.new_id, "2")
    first = asyncio.create_task(other.consumers[stand.consumer.name].on_batch([record]))
    await begun.wait()
    second = asyncio.create_task(stand.consumer.on_batch([record]))

    async def waits() -> bool:
        query = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        return bool(await stand.one(query)) or second.done()

    await eventually("the second at the inbox", waits)
    goes_on.set()
    await asyncio.gather(first, second)
    assert await stand.effects() == [1]
