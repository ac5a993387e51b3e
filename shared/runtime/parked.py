"""What could not take effect, and what a person does about it: look, run it again after the cause is mended, or dismiss it.

A redrive feeds the same bytes through the same pipeline under the same event id, with the time of first receipt; it takes effect at
most once. An open record is never deleted; what was decided on leaves after PARKED_DAYS (`retention.py`). What a record holds is sealed
(`parking.py`), and goes when its account is erased, unless it is still open.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from asyncpg import Connection
from pydantic import BaseModel

from shared.contracts.message import Message
from shared.contracts.titles import AccountErased
from shared.runtime.about import about
from shared.runtime.clock import Clock
from shared.runtime.database import Database
from shared.runtime.handling import Consumer
from shared.runtime.parking import CONTENT, Parking
from shared.runtime.transport import Record

Status = Literal["open", "redriven", "dismissed"]
PAGE_MAX = 200
COLUMNS = """
    parked_id, consumer, topic, "partition", "offset", account_id, number, event_source, event_id, event_type, event_time, reason,
    text, redrive_from, times, last_at, status, received_at, parked_at, changed_by, comment, forgotten_at
"""
SAID = ("account_id", "number", "event_source", "event_id", "event_type", "event_time")


class Parked(BaseModel):
    """One parked record as shown to an operator: everything but its content, which may be personal.

    `times`: how often it came, saying the same; the last time at `last_at`. Before `redrive_from` a redrive cannot help. `forgotten_at`:
    since then nobody knows what it held, for its account was erased.
    """

    parked_id: int
    consumer: str
    topic: str
    partition: int
    offset: int
    account_id: int | None
    number: str | None
    event_source: str | None
    event_id: str | None
    event_type: str | None
    event_time: datetime | None
    reason: str
    text: str
    redrive_from: datetime | None
    times: int
    last_at: datetime | None
    status: Status
    received_at: datetime
    parked_at: datetime
    changed_by: str | None
    comment: str | None
    forgotten_at: datetime | None = None


class ParkedContent(Parked):
    """With what the record says of itself, for the operator who asked for this one; also if a version before parked it."""

    source: str | None
    type: str | None
    size: int


async def parked_records(
    db: Connection,
    status: Status,
    after: int = 0,
    reason: str | None = None,
    account_id: int | None = None,
    event_type: str | None = None,
    since: datetime | None = None,
) -> list[Parked]:
    """The next page after a `parked_id`, by whatever is asked for."""
    rows = await db.fetch(
        f"""
        SELECT {COLUMNS} FROM runtime.parked
        WHERE status = $1 AND parked_id > $2 AND ($3::text IS NULL OR reason = $3) AND ($4::bigint IS NULL OR account_id = $4)
            AND ($5::text IS NULL OR event_type = $5) AND ($6::timestamptz IS NULL OR parked_at >= $6)
        ORDER BY parked_id LIMIT {PAGE_MAX}
        """,
        status,
        after,
        reason,
        account_id,
        event_type,
        since,
    )
    return [Parked(**row) for row in rows]


async def parked_record(db: Connection, parked_id: int, parking: Parking) -> ParkedContent | None:
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM runtime.parked WHERE parked_id = $1", parked_id)
    if row is None:
        return None
    content = await db.fetchrow(f"SELECT {CONTENT} FROM runtime.parked WHERE parked_id = $1", parked_id)
    assert content is not None
    record = parking.shown(content)
    known = about(record)
    shown = dict(row) | {name: row[name] or getattr(known, name) for name in SAID}
    return ParkedContent(**shown, source=known.event_source, type=known.event_type, size=len(record.value or b""))


async def redrive(
    database: Database, consumers: Mapping[str, Consumer], parked_id: int, by: str, clock: Clock, parking: Parking
) -> Status:
    """Run it again. Stays open, with the newer reason, if it still cannot take effect."""
    async with database.read() as db:
        record, received_at = await _record(db, parked_id, parking)
        known = await db.fetchrow(
            "SELECT consumer, event_source, event_id FROM runtime.parked WHERE parked_id = $1", parked_id
        )
    assert known is not None, "its record was found in the same snapshot"
    name, *known_as = known

    async def mark(db: Connection) -> None:
        await _change(db, parked_id, "redriven", by, "", clock.real())

    await consumers[name].redrive(record, received_at, mark, (known_as[0], known_as[1]))
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


async def _record(db: Connection, parked_id: int, parking: Parking) -> tuple[Record, datetime]:
    row = await db.fetchrow(
        f"SELECT {CONTENT}, received_at FROM runtime.parked WHERE parked_id = $1",
        parked_id,
    )
    if row is None:
        raise LookupError(f"there is no parked record {parked_id}")
    return parking.open(row), row["received_at"]


async def account_erased(fact: AccountErased, db: Connection, _: datetime) -> list[Message]:
    """The handler of a service that keeps nothing else of whom an account is."""
    await forget(db, fact.account_id)
    return []


async def forget(db: Connection, account_id: int) -> None:
    """What records of an account held, as far as somebody has decided what becomes of them. An open one may be money: it waits for that."""
    await db.execute(
        """
        UPDATE runtime.parked SET sealed = NULL, key = NULL, value = NULL, header_names = '{}', header_name_bytes = NULL,
            header_values = '{}', forgotten_at = now()
        WHERE account_id = $1 AND status <> 'open' AND forgotten_at IS NULL
        """,
        account_id,
    )
