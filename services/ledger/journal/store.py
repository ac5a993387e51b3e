"""Moves are written here, with what they make of items and sums. Items are locked oldest first, before sums; sums by their key."""

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.journal import sums
from services.ledger.journal.rules import Move
from services.ledger.journal.sums import SumKey


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
            RETURNING {sums.of("i")}, i.invoiceable_fen AS after, d.refunded, d.invoiceable, d.reserved, d.invoiced, d.offset_
        ), summed AS (
            INSERT INTO balance_sum AS s ({sums.COLUMNS})
            SELECT {sums.KEY}, 0, sum(refunded),
                sum(greatest(after, 0) - greatest(after - invoiceable, 0)), sum(least(after, 0) - least(after - invoiceable, 0)),
                sum(reserved), sum(invoiced), sum(offset_)
            FROM changed GROUP BY {sums.KEY} ORDER BY {sums.KEY}
            {sums.ADD} RETURNING account_id
        )
        {sums.NOTE_CHANGE.format(source="summed")}
        """,
        *zip(*moves, strict=True),
        now,
    )


async def locked_sums(db: Connection, keys: Collection[SumKey]) -> dict[SumKey, int]:
    """What of these sums is free, locked."""
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY}, positive_fen FROM balance_sum WHERE ({sums.KEY}) IN (SELECT * FROM {sums.given(1)})
        ORDER BY {sums.KEY} FOR UPDATE
        """,
        *sums.columns(keys),
    )
    return {SumKey(*key): fen for *key, fen in rows}
