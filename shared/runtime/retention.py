"""What leaves a database by itself: rows of technical tables that are older than their retention. Needs the owner's rights.

Rows leave in short batches, in the process whose relay is active; whole days of the outbox are dropped by `partitions.py`. What is in no
list of `Kept` stays for ever: books, invoices and what belongs to them.

The inbox has a row for each event that took effect, and Kafka may bring a record again for as long as it keeps it. So a row stays for
INBOX_DAYS after its event came last, which is longer than topics are kept, and it stays as long as an open parked record has the same
event: a redrive has no limit. Before a row leaves, the partition says up to which offset that may be (`forgotten_through`). If Kafka
has an older record all the same, it is not applied: it is parked, or reading does not even start.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from asyncpg import Connection

from shared.runtime import partitions
from shared.runtime.database import connect
from shared.runtime.metrics import DROPPED_ROWS, OVERDUE

if TYPE_CHECKING:
    from shared.runtime.watchdog import Watchdog

BATCH_MAX, BATCH_MIN, BATCH_SECONDS = 1000, 50, 0.1
"""Rows that leave in one transaction; fewer where they took longer than that."""
TABLE_SECONDS = 60.0
"""For one table in one round."""
MARKED_MAX = 200_000
ROUND_SECONDS, SOON_SECONDS = 3600.0, 60.0
OVERDUE_DAYS = 2
TIMEOUTS = {"lock_timeout": "1s", "statement_timeout": "15s", "timezone": "UTC"}
CONNECT_SECONDS = 10.0
OUTBOX, TOLD = "runtime.outbox", "retention"

FORGETTABLE = """
    NOT EXISTS (
        SELECT FROM runtime.consumer_offset o WHERE o.topic = t.topic AND o."partition" = t."partition"
            AND o.next_offset > t."offset" AND o.forgotten_through < t."offset")
    AND NOT EXISTS (
        SELECT FROM runtime.parked p WHERE p.status = 'open' AND p.event_source = t.source AND p.event_id = t.event_id)
"""
"""Also what an earlier topic of the same name left behind: its offsets were never read, or have no consumer."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Kept:
    """Rows of a table leave `days` after `since`, a column with an index, if `leaves` is true of the row `t`."""

    table: str
    since: str
    days: int
    leaves: str = "true"


@dataclass(frozen=True)
class Retention:
    """Of one service's database: what every service has, and what its own rooms name."""

    outbox_days: int
    inbox_days: int
    parked_days: int
    of_service: Sequence[Kept] = ()

    def tables(self) -> list[Kept]:
        return [
            Kept("runtime.inbox", "received_at", self.inbox_days, FORGETTABLE),
            Kept("runtime.parked", "changed_at", self.parked_days, "t.status <> 'open'"),
            *self.of_service,
        ]


@dataclass(frozen=True)
class Swept:
    """What became of one table: rows that left, and how long ago the oldest one left over should have."""

    table: str
    rows: int
    overdue: timedelta | None = None


async def sweep_for_ever(dsn: str, watchdog: "Watchdog", retention: Retention) -> None:
    """Each hour, and sooner while something is left over."""
    while True:
        seconds = await sweep_once(dsn, watchdog, retention)
        await asyncio.sleep(seconds)


async def sweep_once(dsn: str, watchdog: "Watchdog", retention: Retention, now: datetime | None = None) -> float:
    """In the process whose relay is active. Returns when to do it again. Whatever the error is, the next time may be better, and nothing
    may end the sweeping.
    """
    if not watchdog.runtime.relay.is_active():
        watchdog.told.pop(TOLD, None)
        return SOON_SECONDS
    try:
        db = await connect(dsn, timeout=CONNECT_SECONDS, server_settings=TIMEOUTS)
        try:
            swept = await sweep(db, retention, now)
        finally:
            await db.close(timeout=CONNECT_SECONDS)
    except Exception as error:  # noqa: BLE001
        log.error("retention_not_kept", error=type(error).__name__)
        watchdog.told[TOLD] = f"old rows could not be deleted: {type(error).__name__}"
        return SOON_SECONDS
    late = {one.table: one.overdue.days for one in swept if one.overdue is not None}
    behind = [
        f"{table} has what should have left {days} days ago" for table, days in late.items() if days >= OVERDUE_DAYS
    ]
    watchdog.told.pop(TOLD, None)
    if behind:
        watchdog.told[TOLD] = ", ".join(behind)
    return SOON_SECONDS if late else ROUND_SECONDS


async def sweep(db: Connection, retention: Retention, now: datetime | None = None) -> list[Swept]:
    """One round over all tables. `now` is the database's time, unless somebody says otherwise."""
    at: datetime = now or await db.fetchval("SELECT now()")
    swept = [await _outbox(db, retention.outbox_days, at), await _attempts_of_settled_records(db)]
    swept += [await _sweep(db, kept, at - timedelta(days=kept.days), at) for kept in retention.tables()]
    await _mark_forgotten(db, at - timedelta(days=retention.inbox_days))
    return swept


async def _outbox(db: Connection, days: int, at: datetime) -> Swept:
    """Its days are dropped by `partitions.py`; one that is still there has unsent rows, or somebody holds on to it."""
    first = await partitions.oldest(db)
    overdue = at.date() - first - timedelta(days=days) if first else timedelta()
    OVERDUE.labels(OUTBOX).set(max(0.0, overdue.total_seconds()))
    return Swept(OUTBOX, 0, overdue if overdue.days >= OVERDUE_DAYS else None)


async def _sweep(db: Connection, kept: Kept, before: datetime, at: datetime) -> Swept:
    rows, oldest, ends = 0, None, time.monotonic() + TABLE_SECONDS
    for leaf in await _leaves(db, kept.table):
        left, first = await _sweep_leaf(db, kept, leaf, before, ends)
        rows, oldest = rows + left, min(filter(None, (oldest, first)), default=None)
    overdue = None if oldest is None else before - oldest
    OVERDUE.labels(kept.table).set(0.0 if overdue is None else overdue.total_seconds())
    DROPPED_ROWS.labels(kept.table).inc(rows)
    if rows:
        log.info("dropped", table=kept.table, rows=rows, before=before.isoformat(), at=at.isoformat())
    return Swept(kept.table, rows, overdue)


async def _leaves(db: Connection, table: str) -> list[str]:
    """The tables that have the rows: the partitions, if it has some."""
    rows = await db.fetch(
        "SELECT relid::regclass::text FROM pg_partition_tree($1::regclass) WHERE isleaf ORDER BY 1", table
    )
    return [row[0] for row in rows] or [table]


async def _sweep_leaf(
    db: Connection, kept: Kept, leaf: str, before: datetime, ends: float
) -> tuple[int, datetime | None]:
    """How many rows left; and the oldest that is left over, if time ran out."""
    leaving = f"FROM {leaf} t WHERE t.{kept.since} < $1 AND ({kept.leaves})"
    rows, wanted = 0, BATCH_MAX
    after: datetime | None = None
    while time.monotonic() < ends:
        began = time.monotonic()
        # From where the last batch ended: what left before is still in the index until a vacuum.
        count, after = await db.fetchrow(
            f"""
            WITH gone AS (
                DELETE FROM {leaf} WHERE ctid = ANY (ARRAY(
                    SELECT t.ctid {leaving} AND ($2::timestamptz IS NULL OR t.{kept.since} >= $2)
                    ORDER BY t.{kept.since} LIMIT $3 FOR UPDATE OF t SKIP LOCKED))
                RETURNING {kept.since} AS since
            )
            SELECT count(*), max(since) FROM gone
            """,
            before,
            after,
            wanted,
        ) or (0, None)
        rows += count
        if count < wanted:
            return rows, None
        took = time.monotonic() - began
        wanted = max(BATCH_MIN, wanted // 2) if took > BATCH_SECONDS else min(BATCH_MAX, wanted * 2)
        await asyncio.sleep(took)  # others come first
    return rows, await db.fetchval(f"SELECT t.{kept.since} {leaving} ORDER BY t.{kept.since} LIMIT 1", before)


async def _mark_forgotten(db: Connection, before: datetime) -> None:
    """What may leave in the next round: said a round before, so that nobody who began without knowing it is still at work.

    Only offsets that were settled: a topic that was made anew begins again, and rows of the old one say nothing of it.
    """
    await db.execute(
        """
        UPDATE runtime.consumer_offset o SET forgotten_through = m.through FROM (
            SELECT s.consumer, s.topic, s."partition", max(i."offset") AS through FROM (
                SELECT topic, "partition", "offset" FROM runtime.inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2
            ) i JOIN runtime.consumer_offset s ON s.topic = i.topic AND s."partition" = i."partition" AND s.next_offset > i."offset"
            GROUP BY 1, 2, 3
        ) m
        WHERE o.consumer = m.consumer AND o.topic = m.topic AND o."partition" = m."partition" AND o.forgotten_through < m.through
        """,
        before,
        MARKED_MAX,
    )


async def _attempts_of_settled_records(db: Connection) -> Swept:
    """A count is deleted with the success of its record; what is left was handed back once, and went through with its batch later."""
    table = "runtime.record_attempt"
    rows: int = await db.fetchval(
        f"""
        WITH gone AS (
            DELETE FROM {table} WHERE ctid = ANY (ARRAY(
                SELECT a.ctid FROM {table} a JOIN runtime.consumer_offset o USING (consumer, topic, "partition")
                WHERE a."offset" < o.next_offset LIMIT $1 FOR UPDATE OF a SKIP LOCKED))
            RETURNING true
        )
        SELECT count(*) FROM gone
        """,
        BATCH_MAX,
    )
    DROPPED_ROWS.labels(table).inc(rows)
    return Swept(table, rows)
