"""What could not take effect, and what a person does about it: look, run it again after the cause is mended, or dismiss it.

A redrive feeds the same bytes through the same pipeline under the same event id, with the time of first receipt; it takes effect at
most once. Nothing is ever deleted here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from asyncpg import Connection
from pydantic import BaseModel

from shared.runtime.clock import Clock
from shared.runtime.database import Database
from shared.runtime.envelope import Envelope, read
from shared.runtime.handling import Consumer
from shared.runtime.transport import Partition, Record

Status = Literal["open", "redriven", "dismissed"]
PAGE_MAX = 200
COLUMNS = """parked_id, consumer, topic, "partition", "offset", reason, text, status, received_at, parked_at, changed_by, comment"""


class Parked(BaseModel):
    """One parked record as shown to an operator: everything but its content, which may be personal."""

    parked_id: int
    consumer: str
    topic: str
    partition: int
    offset: int
    reason: str
    text: str
    status: Status
    received_at: datetime
    parked_at: datetime
    changed_by: str | None
    comment: str | None


class ParkedContent(Parked):
    """With what the record says of itself, for the operator who asked for this one."""

    event_id: str | None
    source: str | None
    type: str | None
    size: int


async def parked_records(db: Connection, status: Status, after: int = 0) -> list[Parked]:
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM runtime.parked WHERE status = $1 AND parked_id > $2 ORDER BY parked_id LIMIT {PAGE_MAX}",
        status,
        after,
    )
    return [Parked(**row) for row in rows]


async def parked_record(db: Connection, parked_id: int) -> ParkedContent | None:
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM runtime.parked WHERE parked_id = $1", parked_id)
    if row is None:
        return None
    record, _ = await _record(db, parked_id)
    seen = read(record)
    known = seen if isinstance(seen, Envelope) else None
    return ParkedContent(
        **row,
        event_id=known and known.id,
        source=known and known.source,
        type=known and known.type,
        size=len(record.value or b""),
    )


async def redrive(
    database: Database, consumers: Mapping[str, Consumer], parked_id: int, by: str, clock: Clock
) -> Status:
    """Run it again. Stays open, with the newer reason, if it still cannot take effect."""
    async with database.read() as db:
        record, received_at = await _record(db, parked_id)
        name = await db.fetchval("SELECT consumer FROM runtime.parked WHERE parked_id = $1", parked_id)

    async def mark(db: Connection) -> None:
        await _change(db, parked_id, "redriven", by, "", clock.real())

    await consumers[name].redrive(record, received_at, mark)
    async with database.read() as db:
        status: Status = await db.fetchval("SELECT status FROM runtime.parked WHERE parked_id = $1", parked_id)
    return status


async def dismiss(database: Database, parked_id: int, by: str, comment: str, clock: Clock) -> None:
    """Decide that it shall never take effect, and say why."""
    async with database.transaction() as db:
        await _change(db, parked_id, "dismissed", by, comment, clock.real())


async def _change(db: Connection, parked_id: int, status: Status, by: str, comment: str, at: datetime) -> None:
    changed = await db.fetchval(
        """
        UPDATE runtime.parked SET status = $2, changed_by = $3, comment = $4, changed_at = $5
        WHERE parked_id = $1 AND status = 'open' RETURNING true
        """,
        parked_id,
        status,
        by,
        comment,
        at,
    )
    if not changed:
        raise LookupError(f"parked record {parked_id} is not open")


async def _record(db: Connection, parked_id: int) -> tuple[Record, datetime]:
    row = await db.fetchrow(
        """
        SELECT topic, "partition", "offset", key, value, header_names, header_values, received_at
        FROM runtime.parked WHERE parked_id = $1
        """,
        parked_id,
    )
    if row is None:
        raise LookupError(f"there is no parked record {parked_id}")
    headers = tuple(zip(row["header_names"], row["header_values"], strict=True))
    partition = Partition(row["topic"], row["partition"])
    return Record(partition, row["offset"], row["key"], row["value"], headers), row["received_at"]
