"""Items and the moves between their buckets. Items are locked oldest first, before sums; sums are written in key order."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from asyncpg import Connection

from services.ledger.intake.rules import NewItem, RowKey
from services.ledger.journal.rules import Move

COLUMNS = tuple(NewItem.__slots__)
"""A new item is written as it is; what follows from it or from its arrival stands beside it."""
GIVEN = f"""
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::timestamptz[],
        $18::timestamptz[], $19::bigint[]) AS g ({", ".join(COLUMNS)})
"""
ITEM = attrgetter(*COLUMNS)
ADD_TO_SUMS = """
    ON CONFLICT (account_id, subject, cycle, content, opens_at) DO UPDATE SET
        settled_fen = s.settled_fen + excluded.settled_fen, refunded_fen = s.refunded_fen + excluded.refunded_fen,
        positive_fen = s.positive_fen + excluded.positive_fen, negative_fen = s.negative_fen + excluded.negative_fen,
        reserved_fen = s.reserved_fen + excluded.reserved_fen, invoiced_fen = s.invoiced_fen + excluded.invoiced_fen,
        offset_fen = s.offset_fen + excluded.offset_fen
"""
SUM_COLUMNS = """account_id, subject, cycle, content, opens_at, settled_fen, refunded_fen, positive_fen, negative_fen, reserved_fen,
    invoiced_fen, offset_fen"""
# The source is what wrote the sums: so everybody locks sums first and this row after them.
NOTE_CHANGE = """
    INSERT INTO account_change AS c (account_id) SELECT DISTINCT account_id FROM {source} ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE SET version = c.version + 1
"""


async def add(db: Connection, items: Sequence[NewItem], catalogue_version: str, now: datetime) -> list[RowKey]:
    """Insert what is new and raise the sums by it, in one statement. Returns the keys of items that exist with other content."""
    if not items:
        return []
    fresh = await db.fetchval(
        f"""
        WITH given AS ({GIVEN}), fresh AS (
            INSERT INTO item ({", ".join(COLUMNS)}, invoiceable_fen, arrived_at, catalogue_version)
            SELECT g.*, g.settled_fen, $20, $21 FROM given g
            ON CONFLICT (account_id, number, line, kind) DO NOTHING
            RETURNING account_id, subject, cycle, content, opens_at, settled_fen
        ), raised AS (
            INSERT INTO balance_sum AS s ({SUM_COLUMNS})
            SELECT account_id, subject, cycle, content, opens_at, sum(settled_fen), 0, sum(settled_fen), 0, 0, 0, 0
            FROM fresh GROUP BY account_id, subject, cycle, content, opens_at ORDER BY 1, 2, 3, 4, 5
            {ADD_TO_SUMS} RETURNING account_id
        ), noted AS ({NOTE_CHANGE.format(source="raised")})
        SELECT count(*) FROM fresh
        """,
        *zip(*map(ITEM, items), strict=True),
        now,
        catalogue_version,
    )
    return [] if fresh == len(items) else await _conflicting(db, items)


async def _conflicting(db: Connection, items: Sequence[NewItem]) -> list[RowKey]:
    rows = await db.fetch(
        """
        SELECT g.* FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::bytea[]) AS g (account_id, number, line, kind, digest)
            JOIN item i USING (account_id, number, line, kind)
        WHERE i.digest <> g.digest ORDER BY 1, 2, 3, 4
        """,
        *zip(*(item.key for item in items), strict=True),
    )
    return [tuple(row) for row in rows]


async def record(db: Connection, moves: Sequence[Move], now: datetime) -> None:
    """Write the moves, and what they make of items and sums, in one statement."""
    if not moves:
        return
    await db.execute(
        f"""
        WITH moved AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
                AS m (account_id, item_id, from_bucket, to_bucket, amount_fen, cause)
        ), written AS (
            INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
            SELECT m.*, $7 FROM moved m
        ), flow AS (
            SELECT account_id, item_id, to_bucket AS bucket, amount_fen AS fen FROM moved
            UNION ALL SELECT account_id, item_id, from_bucket, -amount_fen FROM moved
        ), delta AS (
            SELECT account_id, item_id,
                coalesce(sum(fen) FILTER (WHERE bucket = 'outside'), 0)::bigint AS refunded,
                coalesce(sum(fen) FILTER (WHERE bucket = 'invoiceable'), 0)::bigint AS invoiceable,
                coalesce(sum(fen) FILTER (WHERE bucket = 'reserved'), 0)::bigint AS reserved,
                coalesce(sum(fen) FILTER (WHERE bucket = 'invoiced'), 0)::bigint AS invoiced,
                coalesce(sum(fen) FILTER (WHERE bucket = 'offset'), 0)::bigint AS offset_
            FROM flow GROUP BY account_id, item_id
        ), changed AS (
            UPDATE item i SET refunded_fen = i.refunded_fen + d.refunded, invoiceable_fen = i.invoiceable_fen + d.invoiceable,
                reserved_fen = i.reserved_fen + d.reserved, invoiced_fen = i.invoiced_fen + d.invoiced,
                offset_fen = i.offset_fen + d.offset_
            FROM delta d WHERE i.account_id = d.account_id AND i.item_id = d.item_id
            RETURNING i.account_id, i.subject, i.cycle, i.content, i.opens_at, i.invoiceable_fen AS after, d.refunded, d.invoiceable,
                d.reserved, d.invoiced, d.offset_
        ), summed AS (
            INSERT INTO balance_sum AS s ({SUM_COLUMNS})
            SELECT account_id, subject, cycle, content, opens_at, 0, sum(refunded),
                sum(greatest(after, 0) - greatest(after - invoiceable, 0)), sum(least(after, 0) - least(after - invoiceable, 0)),
                sum(reserved), sum(invoiced), sum(offset_)
            FROM changed GROUP BY account_id, subject, cycle, content, opens_at ORDER BY 1, 2, 3, 4, 5
            {ADD_TO_SUMS} RETURNING account_id
        )
        {NOTE_CHANGE.format(source="summed")}
        """,
        *zip(*moves, strict=True),
        now,
    )
