"""Day partitions of the outbox: made ahead of time, dropped when all in them was sent long ago. Needs the owner's rights.

Nothing here may wait behind a long reader (a dump) with a lock that all others then wait for: a partition is made as a table of its own
and attached, detached while others read on, and dropped when nobody has it any more; each lock is waited for a second at most.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import structlog
from asyncpg import Connection, LockNotAvailableError

NAME, DAYS_AHEAD = "outbox_%Y%m%d", 7
LOCK_WAIT = "1s"
LOCK_TRIES_MAX, LOCK_PAUSE_SECONDS = 5, 0.5

PARTITIONS = r"""
    SELECT c.relname, i.inhrelid IS NOT NULL AS attached, coalesce(i.inhdetachpending, false) AS detaching
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relnamespace = 'runtime'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^outbox_\d{8}$' ORDER BY 1
"""

log = structlog.get_logger()


async def tend_partitions(db: Connection, today: datetime | None = None, days: int | None = None) -> int:
    """Returns for how many days to come there are partitions now. What a lock was in the way of is left for the next time.

    `today` is the database's date, unless somebody says otherwise. `days`: how long partitions are kept; else none is dropped.
    """
    now: datetime = today or await db.fetchval("SELECT now()")
    day = now.date()
    before = await db.fetchval("SHOW lock_timeout")
    await db.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
    try:
        there = {row["relname"]: row["attached"] for row in await db.fetch(PARTITIONS)}
        for one in (day + timedelta(days=ahead) for ahead in range(-1, DAYS_AHEAD)):
            if not there.get(_name(one)):
                await _patiently(lambda one=one: _make(db, one), _name(one))  # type: ignore[misc]
        first_kept = "" if days is None else _name(day - timedelta(days=days))
        for name in there:
            if name >= first_kept or await _has_unsent(db, name):
                continue
            if not await _patiently(lambda name=name: _drop(db, name), name):  # type: ignore[misc]
                break  # only one at a time can be half detached
            log.info("dropped", table="runtime.outbox", partition=name)
        return await days_ahead(db, day)
    finally:
        await db.execute(f"SET lock_timeout = '{before}'")


async def oldest(db: Connection) -> date | None:
    """The first day that has a partition."""
    names = [row["relname"] for row in await db.fetch(PARTITIONS)]
    return datetime.strptime(names[0], NAME).replace(tzinfo=UTC).date() if names else None


async def days_ahead(db: Connection, day: date) -> int:
    """How many days after this one have a partition, without a gap. Below zero: not even this one has."""
    attached = {row["relname"] for row in await db.fetch(PARTITIONS) if row["attached"] and not row["detaching"]}
    missing = (ahead for ahead in range(DAYS_AHEAD + 1) if _name(day + timedelta(days=ahead)) not in attached)
    return next(missing, DAYS_AHEAD + 1) - 1


async def _make(db: Connection, day: date) -> None:
    name = _name(day)
    async with db.transaction():
        await db.execute(f"CREATE TABLE IF NOT EXISTS runtime.{name} (LIKE runtime.outbox INCLUDING ALL)")
        await db.execute(
            f"ALTER TABLE runtime.outbox ATTACH PARTITION runtime.{name} "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
        )


async def _has_unsent(db: Connection, name: str) -> bool:
    return bool(await db.fetchval(f"SELECT EXISTS (SELECT FROM runtime.{name} WHERE sent_at IS NULL)"))


async def _drop(db: Connection, name: str) -> None:
    """In steps, each of which may have been done by an earlier try."""
    row = next(row for row in await db.fetch(PARTITIONS) if row["relname"] == name)
    if row["attached"]:
        how = "FINALIZE" if row["detaching"] else "CONCURRENTLY"
        await db.execute(f"ALTER TABLE runtime.outbox DETACH PARTITION runtime.{name} {how}")
    await db.execute(f"DROP TABLE runtime.{name}")


async def _patiently(work: Callable[[], Awaitable[None]], name: str) -> bool:
    for _ in range(LOCK_TRIES_MAX):
        try:
            await work()
        except LockNotAvailableError:
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        else:
            return True
    log.warning("partition_locked", partition=name)
    return False


def _name(day: date) -> str:
    return day.strftime(NAME)
