"""What a parked record holds is sealed at rest: its key, value and headers may be personal, and databases are dumped and copied.

A row is bound to its place in the log, and says which key sealed it. The first key of PARKING_KEY seals, all of them open; rows of another
key, and rows in clear that a version before wrote, are sealed anew by `seal_the_rest`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from asyncpg import Connection
from asyncpg import Record as Row

from shared.runtime.database import Database
from shared.runtime.sealing import KEY_ID_BYTES, Keyring, Unsealable
from shared.runtime.transport import Partition, Record, name_bytes, name_text

SEALED_AT_ONCE, ROUNDS_MAX = 50, 10_000
LENGTH_BYTES = 4
NOTHING = 2 ** (8 * LENGTH_BYTES) - 1
"""The length of a part that is not there."""
CONTENT = 'topic, "partition", "offset", key, value, header_names, header_name_bytes, header_values, sealed'
"""What `Parking.open` needs of a row."""

log = structlog.get_logger()


class Parking:
    """Seals the records that a service parks."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys

    @classmethod
    def from_setting(cls, text: str) -> "Parking":
        return cls(Keyring.from_setting(text))

    @property
    def current_id(self) -> bytes:
        return self._keys.current_id

    def seal(self, record: Record) -> bytes:
        parts = [record.key, record.value]
        for name, value in record.headers:
            parts += [name_bytes(name), value]
        return self._keys.seal(_packed(parts), _place(record.partition, record.offset))

    def open(self, row: Row) -> Record:
        """The record itself; without key, value and headers if it was forgotten."""
        partition = Partition(row["topic"], row["partition"])
        if row["sealed"] is None:
            return _in_clear(row, partition)
        key, value, *headers = _unpacked(self._keys.open(row["sealed"], _place(partition, row["offset"])))
        names, values = headers[::2], headers[1::2]
        named = tuple((name_text(name or b""), value) for name, value in zip(names, values, strict=True))
        return Record(partition, row["offset"], key, value, named)

    def shown(self, row: Row) -> Record:
        """The same for who only looks: a record that no key of ours opens any more shows nothing, and hides no other."""
        try:
            return self.open(row)
        except Unsealable:
            return Record(Partition(row["topic"], row["partition"]), row["offset"], None, None, ())


async def seal_the_rest(database: Database, parking: Parking) -> int:
    """Rows in clear, and those of a key that seals no more; how many. One that no key of ours opens stays as it is, and is told."""
    count, after = 0, 0
    for _ in range(ROUNDS_MAX):
        async with database.transaction() as db:
            rows = await _not_sealed_now(db, parking, after)
            resealed = [(row["parked_id"], sealed) for row in rows if (sealed := _resealed(parking, row)) is not None]
            await _keep(db, resealed)
        if not rows:
            break
        count, after = count + len(resealed), rows[-1]["parked_id"]
    return count


def _resealed(parking: Parking, row: Row) -> bytes | None:
    try:
        return parking.seal(parking.open(row))
    except Exception as error:  # noqa: BLE001 - a key that was taken away too early must not hold up the others
        log.error("parked_not_sealed", parked_id=row["parked_id"], error=type(error).__name__)
        return None


async def _not_sealed_now(db: Connection, parking: Parking, after: int) -> list[Row]:
    return await db.fetch(
        f"""
        SELECT parked_id, {CONTENT} FROM runtime.parked
        WHERE parked_id > $1 AND forgotten_at IS NULL AND (sealed IS NULL OR substr(sealed, 1, {KEY_ID_BYTES}) <> $2)
        ORDER BY parked_id LIMIT {SEALED_AT_ONCE} FOR UPDATE SKIP LOCKED
        """,
        after,
        parking.current_id,
    )


async def _keep(db: Connection, resealed: Sequence[tuple[int, bytes]]) -> None:
    await db.execute(
        """
        UPDATE runtime.parked p SET sealed = n.sealed, key = NULL, value = NULL, header_names = '{}', header_name_bytes = NULL,
            header_values = '{}'
        FROM unnest($1::bigint[], $2::bytea[]) AS n (parked_id, sealed) WHERE p.parked_id = n.parked_id
        """,
        [parked_id for parked_id, _ in resealed],
        [sealed for _, sealed in resealed],
    )


def _in_clear(row: Row, partition: Partition) -> Record:
    names: Any = row["header_names"] if row["header_name_bytes"] is None else map(name_text, row["header_name_bytes"])
    headers = tuple(zip(names, row["header_values"], strict=True))
    return Record(partition, row["offset"], row["key"], row["value"], headers)


def _place(partition: Partition, offset: int) -> str:
    return f"parked/{partition.topic}/{partition.number}/{offset}"


def _packed(parts: Sequence[bytes | None]) -> bytes:
    """Each with its length before it."""
    return b"".join((NOTHING if part is None else len(part)).to_bytes(LENGTH_BYTES) + (part or b"") for part in parts)


def _unpacked(packed: bytes) -> Iterator[bytes | None]:
    at = 0
    while at < len(packed):
        length = int.from_bytes(packed[at : at + LENGTH_BYTES])
        at += LENGTH_BYTES
        if length == NOTHING:
            yield None
        else:
            yield packed[at : at + length]
            at += length
