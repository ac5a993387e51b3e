"""What jobs do with a row they fail at; what workers do after transient errors and at a graceful end: the outcome is tried again, the step
they are at ends, and one that does not end is left behind, as is a connection it took with it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncpg import Connection, DeadlockDetectedError, InterfaceError, LockNotAvailableError, QueryCanceledError

from shared.contracts.message import Message
from shared.runtime import database as databases
from shared.runtime import service as services
from shared.runtime import workers
from shared.runtime.clock import Clock, VirtualClock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.outbox import Outbox
from shared.runtime.progress import STANDSTILL_SECONDS
from shared.runtime.service import Runtime, Service
from shared.runtime.workers import AnyWorker, Job, JobRunner, Worker, WorkerRunner
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 20, tzinfo=UTC)


class Calling:
    """A worker that is called out once; its calls end when they are told to."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.answered = asyncio.Event()
        self.claims = 0
        self.outcomes: list[str] = []

    async def claim(self, _: Connection, __: datetime, ___: datetime) -> int | None:
        self.claims += 1
        return self.claims

    async def call(self, claimed: int) -> str:
        self.called.set()
        await self.answered.wait()
        return f"answer {claimed}"

    async def outcome(self, _: int, answer: str, db: Connection, __: datetime) -> Sequence[Message]:
        await db.execute("SELECT 1")
        self.outcomes.append(answer)
        return []

    async def deaf(self, claimed: int) -> str:
        """It does not even hear that it is cancelled."""
        self.called.set()
        while not self.answered.is_set():
            try:
                await self.answered.wait()
            except asyncio.CancelledError:
                continue
        return f"answer {claimed}"


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> Database:
    return await open_database(tmp_path)


def running(database: Database, worker: AnyWorker, folder: Path) -> Runtime:
    service = Service("ledger", folder, workers=[worker])
    return Runtime(service, database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")


async def test_an_outcome_that_meets_a_deadlock_is_tried_again_with_the_answer_that_came(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "OUTCOME_AGAIN_SECONDS", (0.0, 0.0))
    calling, errors = Calling(), [DeadlockDetectedError("circle"), ConnectionError("lost")]
    calling.answered.set()

    async def outcome(claimed: int, answer: str, db: Connection, now: datetime) -> Sequence[Message]:
        if errors:
            raise errors.pop()
        return await calling.outcome(claimed, answer, db, now)

    runtime = running(database, Worker("call", calling.claim, calling.call, outcome, concurrency=1), tmp_path)
    (runner,) = runtime.runners
    assert await runner.step()
    assert (calling.outcomes, calling.claims) == (["answer 1"], 1)


async def test_a_worker_ends_the_step_it_is_at_and_begins_no_other(database: Database, tmp_path: Path) -> None:
    calling = Calling()
    worker = Worker("call", calling.claim, calling.call, calling.outcome, concurrency=1)
    runtime = running(database, worker, tmp_path)
    await runtime.start()
    await calling.called.wait()
    stopping = asyncio.create_task(runtime.stop())
    asyncio.get_running_loop().call_soon(calling.answered.set)
    await stopping
    assert (calling.outcomes, calling.claims) == (["answer 1"], 1)


async def test_a_worker_that_does_not_end_is_not_waited_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "STEP_ENDS_SECONDS", 0.05)
    monkeypatch.setattr(services, "CANCELLED_ENDS_SECONDS", 0.05)
    calling = Calling()
    runtime = running(database, Worker("call", calling.claim, calling.deaf, calling.outcome, concurrency=1), tmp_path)
    await runtime.start()
    await calling.called.wait()
    await runtime.stop()
    calling.answered.set()
    (left,) = runtime._working
    assert not left.done()
    await left
    assert calling.outcomes == [], "the database is closed: the row comes again"


class Rows:
    """Three rows to be worked off, of which one meets a bug."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.waiting = [1, 2, 3]
        self.aside: dict[int, datetime] = {}
        self.done: list[int] = []
        self.transaction = ""

    async def claim(self, _: Connection, at: datetime, __: datetime) -> int | None:
        return next((row for row in self.waiting if self.aside.get(row, at) <= at), None)

    async def work(self, row: int, db: Connection, _: datetime) -> Sequence[Message]:
        self.transaction = await db.fetchval("SELECT pg_current_xact_id()::text")
        if row == 1 and self.error is not None:
            raise self.error
        self.waiting.remove(row)
        self.done.append(row)
        return []

    async def set_aside(self, row: int, db: Connection, until: datetime) -> None:
        assert await db.fetchval("SELECT pg_xact_status($1::text::xid8)", self.transaction) == "aborted"
        self.aside[row] = until


def job_of(rows: Rows, database: Database, folder: Path, clock: VirtualClock) -> JobRunner:
    service = Service("ledger", folder, workers=[Job("job", rows.claim, rows.work, rows.set_aside)])
    (runner,) = Runtime(service, database, MemoryTransport(MemoryLog()), clock, uuid7, "1").runners
    assert isinstance(runner, JobRunner)
    return runner


@pytest.mark.parametrize("error", [KeyError("a bug"), QueryCanceledError("statement timeout")], ids=["bug", "too slow"])
async def test_a_row_whose_job_fails_is_set_aside_and_the_others_go_on(
    error: Exception, database: Database, tmp_path: Path
) -> None:
    rows, clock = Rows(error), VirtualClock(NOW)
    runner = job_of(rows, database, tmp_path, clock)
    with pytest.raises(type(error)):
        await runner.step()
    assert [await runner.step() for _ in range(3)] == [True, True, False]
    assert (rows.done, rows.aside) == ([2, 3], {1: NOW + timedelta(seconds=workers.SET_ASIDE_SECONDS)})
    rows.error = None
    clock.advance(workers.SET_ASIDE_SECONDS)
    assert await runner.step()
    assert rows.done == [2, 3, 1]


async def test_a_bug_is_told_also_when_its_row_cannot_be_set_aside(database: Database, tmp_path: Path) -> None:
    rows = Rows(KeyError("a bug"))

    async def in_transient_error(*_: object) -> None:
        raise LockNotAvailableError

    rows.set_aside = in_transient_error  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyError):
        await job_of(rows, database, tmp_path, VirtualClock(NOW)).step()


async def test_a_job_that_meets_a_transient_error_is_not_set_aside(database: Database, tmp_path: Path) -> None:
    rows = Rows(DeadlockDetectedError("circle"))
    runner = job_of(rows, database, tmp_path, VirtualClock(NOW))
    with pytest.raises(DeadlockDetectedError):
        await runner.step()
    assert rows.aside == {}
    rows.error = None
    assert await runner.step()
    assert rows.done == [1]


async def test_a_connection_that_was_never_given_back_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "CLOSE_SECONDS", 0.05)
    kept = await database._pools["handlers"].acquire()
    await database.close()
    with pytest.raises(InterfaceError):
        await kept.fetchval("SELECT 1")


async def test_a_worker_whose_rows_all_fail_says_so_after_a_minute(database: Database) -> None:
    calling, clock, failed = Calling(), Moved(), asyncio.Event()

    async def call(_: int) -> str:
        failed.set()
        raise KeyError("a bug")

    worker = Worker("call", calling.claim, call, calling.outcome, concurrency=1)
    runner = WorkerRunner(worker, database, Outbox("ledger", clock, uuid7), clock)
    working = asyncio.create_task(runner.run(asyncio.Event()))
    await asyncio.wait_for(failed.wait(), 5)
    await asyncio.sleep(0)
    assert runner.unhealthy() is None
    clock.later += STANDSTILL_SECONDS
    assert str(runner.unhealthy()).startswith("worker call has settled nothing for 60 s: KeyError")
    assert runner.unhealthy(possible_since=clock.monotonic()) is None, "the database was away all the time"
    clock.later += workers.HUNG_SECONDS
    assert runner.broken() is None, "they would fail in a new process as well"
    working.cancel()


async def test_a_call_that_does_not_end_is_ended_with_its_process(database: Database) -> None:
    calling, clock = Calling(), Moved()
    worker = Worker("call", calling.claim, calling.call, calling.outcome, concurrency=1)
    runner = WorkerRunner(worker, database, Outbox("ledger", clock, uuid7), clock)
    working = asyncio.create_task(runner.run(asyncio.Event()))
    await calling.called.wait()
    clock.later += workers.HUNG_SECONDS - 1
    assert runner.broken() is None
    clock.later += 2
    assert str(runner.broken()).endswith(": a step does not end")
    working.cancel()


class Moved(Clock):
    later = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later
