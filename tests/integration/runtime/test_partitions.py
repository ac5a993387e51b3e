"""Day partitions of the outbox, with a reader that does not end: nobody waits for those who tend them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from shared.runtime import health, migrations, partitions
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.partitions import DAYS_AHEAD
from shared.runtime.service import Runtime, Service
from shared.runtime.watchdog import Watchdog
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database

RETENTION_DAYS = 60
WRITE = "INSERT INTO runtime.outbox (records) VALUES ('[]')"


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> Database:
    return await open_database(tmp_path)


@pytest.fixture
async def dump(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """As pg_dump reads: a lock on every table until it ends."""
    db = await asyncpg.connect(database.dsn)
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM runtime.outbox")
    yield db
    await db.close()


async def names(database: Database) -> list[str]:
    async with database.read() as db:
        return [row["relname"] for row in await db.fetch(partitions.PARTITIONS)]


async def test_partitions_are_made_behind_a_long_reader_while_others_write(
    database: Database, dump: asyncpg.Connection
) -> None:
    assert not dump.is_closed()
    later = datetime.now(UTC) + timedelta(days=10)
    tending = asyncio.create_task(migrations.tend(database.dsn, RETENTION_DAYS, later))
    written = 0
    while not tending.done():
        async with asyncio.timeout(0.5), database.transaction() as db:
            await db.execute(WRITE)
        written += 1
    assert (await tending, written > 0) == (DAYS_AHEAD - 1, True)
    assert f"outbox_{later + timedelta(days=DAYS_AHEAD - 1):%Y%m%d}" in await names(database)


async def test_old_partitions_wait_for_a_long_reader_and_nobody_waits_for_them(
    database: Database, dump: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TRIES_MAX", 2)
    before = await names(database)
    later = datetime.now(UTC) + timedelta(days=RETENTION_DAYS)
    tending = asyncio.create_task(migrations.tend(database.dsn, RETENTION_DAYS, later))
    while not tending.done():
        async with asyncio.timeout(0.5), database.transaction() as db:
            await db.execute(WRITE)
    await tending
    assert before[0] in await names(database), "the reader still has it"
    await dump.execute("ROLLBACK")
    await migrations.tend(database.dsn, RETENTION_DAYS, later)
    assert before[0] not in await names(database)
    async with database.transaction() as db:
        await db.execute(WRITE)


async def test_what_was_never_sent_is_never_dropped(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute(WRITE)
    later = datetime.now(UTC) + timedelta(days=2 * RETENTION_DAYS)
    await migrations.tend(database.dsn, RETENTION_DAYS, later)
    async with database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM runtime.outbox") == 1


async def test_a_partition_has_what_its_table_has(database: Database) -> None:
    async with database.read() as db:
        rows = await db.fetch(
            "SELECT count(*) AS indexes FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indrelid GROUP BY i.indrelid"
        )
        attached = await db.fetchval("SELECT bool_and(i.inhparent IS NOT NULL) FROM pg_inherits i")
    assert ({row["indexes"] for row in rows}, attached) == ({2}, True)


async def test_whatever_goes_wrong_is_told_and_the_tending_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(Service("ledger", tmp_path), database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    watchdog = Watchdog(runtime)

    async def fails(_: str, __: int) -> int:
        raise KeyError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "tend", fails)
        assert await health.tend_once(database.dsn, watchdog, RETENTION_DAYS) == health.TEND_AGAIN_SECONDS
    assert watchdog.unhealthy() == {"outbox partitions": "could not be tended: KeyError"}
    assert await health.tend_once(database.dsn, watchdog, RETENTION_DAYS) == health.TEND_SECONDS
    assert watchdog.unhealthy() == {}
    monkeypatch.setattr(health, "DAYS_AHEAD_MIN", DAYS_AHEAD + 1)
    await health.tend_once(database.dsn, watchdog, RETENTION_DAYS)
    assert watchdog.unhealthy() == {"outbox partitions": "there are some for 6 more days only"}
