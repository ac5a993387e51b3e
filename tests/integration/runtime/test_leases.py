"""The claim with a lease on real PostgreSQL: one holder at a time, the oldest first, nothing that is not due."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asyncpg import Connection

from shared.contracts.message import Message
from shared.domain.calendar import SHANGHAI
from shared.runtime import leases
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.leases import Leased
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime, Service
from shared.runtime.workers import AnyWorker, Job, Worker
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
TASKS = Leased("task", ("account_id", "task_id"), "t.status = 'open'", 60, also="step = 'query'")
CLAIM = f"WITH {TASKS.claim()} SELECT c.task_id, c.tries, c.epoch, due.step AS before, c.step FROM claimed c JOIN due USING (task_id)"


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> Database:
    table = """
    CREATE TABLE task (account_id bigint, task_id bigint, status text DEFAULT 'open', step text DEFAULT 'submit', tries integer DEFAULT 0,
        epoch integer DEFAULT 0, due_at timestamptz, lease_until timestamptz, PRIMARY KEY (account_id, task_id));
    """
    (tmp_path / "001_tasks.sql").write_text(table)
    return await open_database(tmp_path)


async def add(database: Database, task_id: int, due_at: datetime, status: str = "open") -> None:
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO task (account_id, task_id, due_at, status) VALUES (1, $1, $2, $3)", task_id, due_at, status
        )


async def claim(database: Database, at: datetime) -> tuple[object, ...] | None:
    async with database.transaction() as db:
        row = await db.fetchrow(CLAIM, at)
    return None if row is None else tuple(row)


async def test_the_oldest_due_row_is_taken_and_shown_as_it_was_and_is(database: Database) -> None:
    await add(database, 1, NOW)
    await add(database, 2, NOW - timedelta(seconds=1))
    assert await claim(database, NOW) == (2, 1, 1, "submit", "query")
    assert await claim(database, NOW) == (1, 1, 1, "submit", "query")


async def test_a_row_is_not_taken_before_its_time_nor_when_it_is_not_due_at_all(database: Database) -> None:
    await add(database, 1, NOW + timedelta(seconds=1))
    await add(database, 2, NOW, status="ended")
    assert await claim(database, NOW) is None


async def test_a_lease_keeps_others_away_until_it_ends_and_then_the_epoch_is_another(database: Database) -> None:
    await add(database, 1, NOW)
    assert await claim(database, NOW) is not None
    assert await claim(database, NOW + timedelta(seconds=60)) is None
    assert await claim(database, NOW + timedelta(seconds=61)) == (1, 2, 2, "query", "query")


async def test_a_row_that_somebody_is_taking_is_passed_over(database: Database) -> None:
    await add(database, 1, NOW)
    await add(database, 2, NOW)
    async with database.transaction() as db:
        await db.fetchrow(CLAIM, NOW)
        other = await claim(database, NOW)
        assert other is not None
        assert other[0] == 2


class Wrong(Clock):
    """A process whose wall clock is an hour ahead."""

    def real(self) -> datetime:
        return super().real() + timedelta(hours=1)


async def test_a_worker_takes_leases_by_the_clock_of_the_database_whatever_its_own_says(
    database: Database, tmp_path: Path
) -> None:
    given: list[datetime] = []

    async def claim_due(_: Connection, at: datetime, __: datetime) -> None:
        given.append(at)

    async def nothing(*_: object) -> Sequence[Message]:
        return []

    workers: list[AnyWorker] = [Worker("call", claim_due, nothing, nothing), Job("job", claim_due, nothing)]
    service = Service("ledger", tmp_path, workers=workers)
    runtime = Runtime(service, database, MemoryTransport(MemoryLog()), Wrong(), uuid7, "1")
    assert [await runner.step() for runner in runtime.runners] == [False, False]
    async with database.read() as db:
        now = await db.fetchval("SELECT clock_timestamp()")
    assert [abs(at - now) < timedelta(minutes=1) for at in given] == [True, True]


def test_nobody_in_the_runtime_gives_a_wall_clock_to_a_lease() -> None:
    """`Clock.real` is for people to read; what may ask for it is named."""
    folder = Path(leases.__file__).parent
    asking = {
        file.name for file in folder.glob("*.py") if re.search(r"clock\.real\(|datetime\.now\(", file.read_text())
    }
    assert asking - {"clock.py", "handling.py"} == {"parked.py", "shared_clock.py", "watchdog.py"}
