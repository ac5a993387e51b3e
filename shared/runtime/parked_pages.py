"""Parked records as an operator sees them: by page and by filter, with what each says of itself as far as that may be shown.

Account and type stand inside the record, so a filter by them reads records until a page is full. How much it reads is bounded; where it
stopped, it says so: `next` is None only at the end.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Connection
from asyncpg import Record as Row
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from shared.contracts.message import LARGEST_ID
from shared.runtime import envelope
from shared.runtime.about import sayable
from shared.runtime.envelope import Envelope
from shared.runtime.parked import COLUMNS, Parked, Status
from shared.runtime.parking import CONTENT, Parking
from shared.runtime.transport import Record, name_bytes

PAGE_MAX = 200
READ_MAX, READ_BYTES_MAX, PREFETCH = 5_000, 64_000_000, 20
_moment = TypeAdapter(AwareDatetime)


class ParkedShown(Parked):
    """With what the record says of itself. A value that looks personal is hidden."""

    type: str | None
    account_id: int | None
    number: str | None
    occurred_at: datetime | None
    event_id: str | None
    size: int


@dataclass(frozen=True)
class Wanted:
    status: Status = "open"
    reason: str | None = None
    account_id: int | None = None
    type: str | None = None
    since: datetime | None = None
    """Parked then or later."""


@dataclass(frozen=True)
class Page:
    """`next`: look on after this one; None if there is nothing behind it."""

    records: list[ParkedShown]
    next: int | None


class Content(BaseModel):
    """The record itself, as text; bytes that are none are written as escapes."""

    parked_id: int
    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]]


async def page(db: Connection, wanted: Wanted, after: int, limit: int, parking: Parking) -> Page:
    found: list[ParkedShown] = []
    read = size = 0
    async for row in _rows(db, wanted, after):
        if len(found) == limit or read == READ_MAX or size > READ_BYTES_MAX:
            return Page(found, after)
        shown = _shown(row, parking)
        read, size, after = read + 1, size + shown.size, shown.parked_id
        if wanted.account_id in (None, shown.account_id) and wanted.type in (None, shown.type):
            found.append(shown)
    return Page(found, None)


def _rows(db: Connection, wanted: Wanted, after: int) -> AsyncIterator[Row]:
    cursor = db.cursor(
        f"""
        SELECT {COLUMNS}, key, value, header_names, header_name_bytes, header_values, sealed FROM runtime.parked
        WHERE status = $1 AND parked_id > $2 AND ($3::text IS NULL OR reason = $3) AND ($4::timestamptz IS NULL OR parked_at >= $4)
        ORDER BY parked_id
        """,
        wanted.status,
        after,
        wanted.reason,
        wanted.since,
        prefetch=PREFETCH,
    )
    return aiter(cursor)


def _shown(row: Row, parking: Parking) -> ParkedShown:
    record = parking.shown(row)
    kept = {name: row[name] for name in Parked.model_fields}
    kept |= {name: sayable(row[name]) for name in ("event_source", "event_type")}
    said = {"type": kept["event_type"], "occurred_at": row["event_time"]}  # if its content is gone, what was kept of it
    return ParkedShown(**kept | (said if record.value is None else said_by(record)), size=len(record.value or b""))


def said_by(record: Record) -> dict[str, Any]:
    """Type, account, number, time and event id, where they are what they should be."""
    seen = envelope.read(record)
    known = seen if isinstance(seen, Envelope) else None
    data = _data(known.body if known is not None else record.value)
    return {
        "type": known and sayable(known.type),
        "account_id": _account(data, record.key),
        "number": sayable(data.get("number")),
        "occurred_at": _time(data.get("occurred_at")),
        "event_id": known and sayable(known.id),
    }


def _data(body: bytes | None) -> Mapping[str, Any]:
    """Of a record that may be anything: also of one whose attributes are wrong."""
    try:
        data = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        data = data["data"]
    return data if isinstance(data, dict) else {}


def _account(data: Mapping[str, Any], key: bytes | None) -> int | None:
    value = data.get("account_id")
    if value is None and key is not None and key.isdigit() and len(key) <= len(str(LARGEST_ID)):
        value = int(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_ID else None


def _time(value: object) -> datetime | None:
    try:
        return _moment.validate_python(value) if isinstance(value, str) else None
    except ValidationError:
        return None


async def content_of(db: Connection, parked_id: int, parking: Parking) -> Content | None:
    row = await db.fetchrow(
        f"SELECT {CONTENT} FROM runtime.parked WHERE parked_id = $1",
        parked_id,
    )
    if row is None:
        return None
    record = parking.open(row)
    headers = [(_text(name_bytes(name)) or "", _text(value)) for name, value in record.headers]
    return Content(parked_id=parked_id, key=_text(record.key), value=_text(record.value), headers=headers)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
