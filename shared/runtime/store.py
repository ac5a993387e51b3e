"""The runtime's own statements: inbox, offsets, attempts, parked records. One function for one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Connection

from shared.runtime.about import About, sayable
from shared.runtime.envelope import ATTRIBUTE_MAX, Envelope, Unreadable
from shared.runtime.transport import Partition, Record


@dataclass(frozen=True, slots=True)
class Begun:
    """How often a batch starting at this offset was begun, and when its records were first received."""

    tries: int
    received_through: int
    received_at: datetime

    def receipt(self, offset: int, now: datetime) -> datetime:
        return self.received_at if offset <= self.received_through else now


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the records of one partition, and the offset to go on from."""

    partition: Partition
    next_offset: int
    applied: int
    duplicate: int
    parked: int
    skipped: int


async def begin_batch(
    db: Connection, consumer: str, spans: Sequence[tuple[Partition, int, int]], at: datetime
) -> dict[Partition, Begun]:
    """`spans`: partition, first and last offset. The receipt of offsets seen before is kept, of new ones it is `at`."""
    rows = await db.fetch(
        """
        WITH span AS (
            SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) AS s (topic, part, first, last)
        ), before AS (
            SELECT a.* FROM runtime.batch_attempt a JOIN span ON a.topic = span.topic AND a."partition" = span.part
            WHERE a.consumer = $1
        ), written AS (
            INSERT INTO runtime.batch_attempt AS a
                (consumer, topic, "partition", first_offset, tries, received_through, received_at)
            SELECT $1, topic, part, first, 1, last, $6 FROM span ORDER BY topic, part
            ON CONFLICT (consumer, topic, "partition") DO UPDATE SET
                tries = CASE WHEN a.first_offset = excluded.first_offset THEN a.tries + 1 ELSE 1 END,
                first_offset = excluded.first_offset,
                received_at = CASE WHEN excluded.received_through > a.received_through
                    THEN excluded.received_at ELSE a.received_at END,
                received_through = greatest(a.received_through, excluded.received_through)
            RETURNING topic, "partition", tries
        )
        SELECT w.topic, w."partition", w.tries, b.received_through, b.received_at
        FROM written w LEFT JOIN before b ON b.topic = w.topic AND b."partition" = w."partition"
        """,
        consumer,
        [partition.topic for partition, _, _ in spans],
        [partition.number for partition, _, _ in spans],
        [first for _, first, _ in spans],
        [last for _, _, last in spans],
        at,
    )
    return {
        Partition(row["topic"], row["partition"]): Begun(
            row["tries"], -1 if row["received_through"] is None else row["received_through"], row["received_at"] or at
        )
        for row in rows
    }


async def begin_record(db: Connection, consumer: str, record: Record, anew: bool) -> int:
    """The number of this attempt at a record, counting from 1. `anew`: a transient error ended the one before, which does not count."""
    tries: int = await db.fetchval(
        """
        INSERT INTO runtime.record_attempt AS a (consumer, topic, "partition", "offset", tries) VALUES ($1, $2, $3, $4, 1)
        ON CONFLICT (consumer, topic, "partition", "offset") DO UPDATE SET tries = CASE WHEN $5 THEN a.failed ELSE a.tries END + 1
        RETURNING tries
        """,
        consumer,
        record.partition.topic,
        record.partition.number,
        record.offset,
        anew,
    )
    return tries


async def take_back(db: Connection, consumer: str, record: Record) -> None:
    """The attempt ended in a transient error: it does not count, and neither do those that ended with their process before it."""
    await _change_attempt(db, consumer, record, "tries = failed")


async def attempt_failed(db: Connection, consumer: str, record: Record) -> None:
    await _change_attempt(db, consumer, record, "failed = failed + 1")


async def _change_attempt(db: Connection, consumer: str, record: Record, change: str) -> None:
    await db.execute(
        f"""
        UPDATE runtime.record_attempt SET {change}
        WHERE consumer = $1 AND topic = $2 AND "partition" = $3 AND "offset" = $4
        """,
        consumer,
        record.partition.topic,
        record.partition.number,
        record.offset,
    )


async def end_record(db: Connection, consumer: str, record: Record) -> None:
    await db.execute(
        """
        DELETE FROM runtime.record_attempt
        WHERE consumer = $1 AND topic = $2 AND "partition" = $3 AND "offset" = $4
        """,
        consumer,
        record.partition.topic,
        record.partition.number,
        record.offset,
    )


async def enter_inbox(
    db: Connection, consumer: str, envelope: Envelope, record: Record, at: datetime, remembered: bool
) -> bool:
    """Whether the event is new. A twin in another transaction is waited for.

    Where the rows of a partition may have left (`retention.py`) nothing is new any more, unless its own row is known to be `remembered`.
    """
    entered = await db.fetchval(
        """
        INSERT INTO runtime.inbox (source, event_id, digest, topic, "partition", "offset", received_at)
        SELECT $1::text, $2::text, $3::bytea, $4::text, $5::int, $6::bigint, $7::timestamptz WHERE $8 OR NOT EXISTS (
            SELECT FROM runtime.consumer_offset
            WHERE consumer = $9 AND topic = $4 AND "partition" = $5 AND forgotten_through >= $6)
        ON CONFLICT (source, event_id) DO NOTHING
        RETURNING true
        """,
        *envelope.key,
        envelope.meaning,
        record.partition.topic,
        record.partition.number,
        record.offset,
        at,
        remembered,
        consumer,
    )
    return entered is True


async def seen_again(db: Connection, envelope: Envelope, at: datetime) -> bool | None:
    """Whether the event that took effect under this id said the same; None if nobody knows any more. Its row stays as long as if it had
    come now. Rows of versions before have the digest of the bytes.
    """
    digest = await db.fetchval("SELECT runtime.seen_again($1, $2, $3)", *envelope.key, at)
    return None if digest is None else digest in (envelope.meaning, envelope.digest)


async def move_offsets(db: Connection, consumer: str, tallies: Sequence[Tally]) -> dict[Partition, int]:
    """Returns where these partitions stood before, if anywhere."""
    rows = await db.fetch(
        """
        WITH before AS (
            SELECT o.topic, o."partition", o.next_offset FROM runtime.consumer_offset o
            JOIN unnest($2::text[], $3::int[]) AS t (topic, part) ON o.topic = t.topic AND o."partition" = t.part
            WHERE o.consumer = $1
        ), moved AS (
            INSERT INTO runtime.consumer_offset AS o
                (consumer, topic, "partition", next_offset, applied, duplicate, parked, skipped)
            SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                AS t (topic, part, next_offset, applied, duplicate, parked, skipped)
            ORDER BY topic, part
            ON CONFLICT (consumer, topic, "partition") DO UPDATE SET
                next_offset = greatest(o.next_offset, excluded.next_offset), applied = o.applied + excluded.applied,
                duplicate = o.duplicate + excluded.duplicate, parked = o.parked + excluded.parked,
                skipped = o.skipped + excluded.skipped
        )
        SELECT topic, "partition", next_offset FROM before
        """,
        consumer,
        [tally.partition.topic for tally in tallies],
        [tally.partition.number for tally in tallies],
        [tally.next_offset for tally in tallies],
        [tally.applied for tally in tallies],
        [tally.duplicate for tally in tallies],
        [tally.parked for tally in tallies],
        [tally.skipped for tally in tallies],
    )
    return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def stored_offsets(db: Connection, consumer: str) -> dict[Partition, int]:
    rows = await db.fetch(
        'SELECT topic, "partition", next_offset FROM runtime.consumer_offset WHERE consumer = $1', consumer
    )
    return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def forgotten(db: Connection, consumer: str) -> dict[Partition, int]:
    """The last offset of each partition up to which rows of the inbox may have left; none is left out."""
    rows = await db.fetch(
        """
        SELECT topic, "partition", forgotten_through FROM runtime.consumer_offset
        WHERE consumer = $1 AND forgotten_through >= 0
        """,
        consumer,
    )
    return {Partition(row["topic"], row["partition"]): row["forgotten_through"] for row in rows}


async def park(
    db: Connection,
    consumer: str,
    record: Record,
    sealed: bytes,
    about: About,
    why: Unreadable,
    received_at: datetime,
    at: datetime,
) -> bool:
    """Whether it is a new row: an open one that says the same under the same id counts its repeats. Parking a record again, after a
    redrive that failed, opens its own row with the newer reason. Nothing it holds is kept in clear: of what it says of itself only what
    does not look personal."""
    fresh = await db.fetchval(
        """
        WITH repeated AS (
            UPDATE runtime.parked p SET times = p.times + 1, last_at = $8
            WHERE p.parked_id = (
                SELECT min(parked_id) FROM runtime.parked WHERE consumer = $1 AND fingerprint = $17 AND status = 'open'
            ) AND NOT EXISTS (
                SELECT FROM runtime.parked WHERE consumer = $1 AND topic = $2 AND "partition" = $3 AND "offset" = $4
            )
            RETURNING p.parked_id
        )
        INSERT INTO runtime.parked AS p (consumer, topic, "partition", "offset", sealed, header_names, header_values, reason, text,
            received_at, parked_at, redrive_from, account_id, number, event_source, event_id, event_type, event_time, fingerprint)
        SELECT $1::text, $2::text, $3::int, $4::bigint, $5::bytea, '{}', '{}', $6::text, $7::text,
            $8::timestamptz, $9::timestamptz, $10::timestamptz, $11::bigint, $12::text, $13::text, $14::text, $15::text,
            $16::timestamptz, $17::bytea
        WHERE NOT EXISTS (SELECT FROM repeated)
        ON CONFLICT (consumer, topic, "partition", "offset") DO UPDATE SET
            reason = excluded.reason, text = excluded.text, redrive_from = excluded.redrive_from, status = 'open',
            sealed = excluded.sealed, forgotten_at = NULL
        WHERE p.status <> 'dismissed'
        RETURNING p.xmax = 0
        """,
        consumer,
        record.partition.topic,
        record.partition.number,
        record.offset,
        sealed,
        why.reason,
        why.text,
        received_at,
        at,
        why.redrive_from,
        about.account_id,
        sayable(about.number),
        *(sayable(one, ATTRIBUTE_MAX) for one in (about.event_source, about.event_id, about.event_type)),
        about.event_time,
        about.fingerprint,
    )
    return fresh is True


async def dismissed(db: Connection, consumer: str, records: Sequence[Record]) -> dict[tuple[Partition, int], bytes]:
    """Fingerprints of the parked records that were dismissed at these places."""
    rows = await db.fetch(
        """
        SELECT p.topic, p."partition", p."offset", p.fingerprint FROM runtime.parked p
        JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS r (topic, part, "offset")
            ON p.topic = r.topic AND p."partition" = r.part AND p."offset" = r."offset"
        WHERE p.consumer = $1 AND p.status = 'dismissed' AND p.fingerprint IS NOT NULL
        """,
        consumer,
        [record.partition.topic for record in records],
        [record.partition.number for record in records],
        [record.offset for record in records],
    )
    return {(Partition(row["topic"], row["partition"]), row["offset"]): row["fingerprint"] for row in rows}


async def parks_in_a_row(db: Connection, consumer: str) -> int:
    return await db.fetchval("SELECT parks FROM runtime.breaker WHERE consumer = $1", consumer) or 0


async def count_park(db: Connection, consumer: str) -> int:
    parks: int = await db.fetchval(
        """
        INSERT INTO runtime.breaker AS b (consumer, parks) VALUES ($1, 1)
        ON CONFLICT (consumer) DO UPDATE SET parks = b.parks + 1 RETURNING parks
        """,
        consumer,
    )
    return parks


async def end_row_of_parks(db: Connection, consumer: str) -> None:
    await db.execute("UPDATE runtime.breaker SET parks = 0 WHERE consumer = $1", consumer)
