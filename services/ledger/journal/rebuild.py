"""Columns and sums from what is never changed: settled amounts, moves, promises. Whatever differs is shown, or put right.

The truth is the journal (design rule: columns = replay of moves, sums = items), so this may run at any time; a check reads one
snapshot and locks nothing, putting right locks out writers for as long as it takes.
"""

from asyncpg import Connection, Record

from services.ledger.journal import sums

ITEMS = """
    WITH flow AS (
        SELECT account_id, item_id, to_bucket AS bucket, amount_fen AS fen FROM move
        UNION ALL SELECT account_id, item_id, from_bucket, -amount_fen FROM move
    ), replayed AS (
        SELECT account_id, item_id,
            coalesce(sum(fen) FILTER (WHERE bucket = 'outside'), 0)::bigint AS refunded_fen,
            coalesce(sum(fen) FILTER (WHERE bucket = 'invoiceable'), 0)::bigint AS moved_fen,
            coalesce(sum(fen) FILTER (WHERE bucket = 'reserved'), 0)::bigint AS reserved_fen,
            coalesce(sum(fen) FILTER (WHERE bucket = 'invoiced'), 0)::bigint AS invoiced_fen,
            coalesce(sum(fen) FILTER (WHERE bucket = 'offset'), 0)::bigint AS offset_fen
        FROM flow GROUP BY account_id, item_id
    ), truth AS (
        SELECT i.account_id, i.item_id, coalesce(refunded_fen, 0) AS refunded_fen, settled_fen + coalesce(moved_fen, 0) AS invoiceable_fen,
            coalesce(r.reserved_fen, 0) AS reserved_fen, coalesce(r.invoiced_fen, 0) AS invoiced_fen,
            coalesce(r.offset_fen, 0) AS offset_fen
        FROM (SELECT account_id, item_id, settled_fen FROM item) i LEFT JOIN replayed r USING (account_id, item_id)
    )
"""
ITEM_FIGURES = ("refunded_fen", "invoiceable_fen", "reserved_fen", "invoiced_fen", "offset_fen")
SUMS = f"""
    WITH promised AS (
        SELECT {sums.KEY}, sum(promised_fen) AS fen FROM promise GROUP BY {sums.KEY}
    ), truth AS (
        SELECT {sums.KEY}, sum(settled_fen)::bigint AS settled_fen,
            sum(refunded_fen)::bigint AS refunded_fen, (sum(greatest(invoiceable_fen, 0)) - coalesce(max(fen), 0))::bigint AS positive_fen,
            sum(least(invoiceable_fen, 0))::bigint AS negative_fen, (sum(reserved_fen) + coalesce(max(fen), 0))::bigint AS reserved_fen,
            sum(invoiced_fen)::bigint AS invoiced_fen, sum(offset_fen)::bigint AS offset_fen
        FROM item LEFT JOIN promised USING ({sums.KEY}) GROUP BY {sums.KEY}
    )
"""


async def differing_items(db: Connection) -> list[Record]:
    """Account, item, and for each figure what the row has and what its moves say."""
    return await db.fetch(
        f"""
        {ITEMS} SELECT account_id, item_id, {_pairs("i", ITEM_FIGURES)} FROM item i JOIN truth t USING (account_id, item_id)
        WHERE ({_of("i", ITEM_FIGURES)}) IS DISTINCT FROM ({_of("t", ITEM_FIGURES)}) ORDER BY account_id, item_id
        """
    )


async def differing_sums(db: Connection) -> list[Record]:
    """Key, and for each figure what the row has and what its items say."""
    return await db.fetch(
        f"""
        {SUMS} SELECT {sums.KEY}, {_pairs("s", sums.FIGURES)} FROM balance_sum s FULL JOIN truth t USING ({sums.KEY})
        WHERE ({_of("s", sums.FIGURES)}) IS DISTINCT FROM ({_of("t", sums.FIGURES)}) ORDER BY {sums.KEY}
        """
    )


async def put_right(db: Connection) -> None:
    """Items from their moves, then sums from the items. As the owner, in one transaction."""
    await db.execute("LOCK TABLE item, move, promise, balance_sum IN SHARE ROW EXCLUSIVE MODE")
    await db.execute(
        f"""
        {ITEMS} UPDATE item i SET {_set(ITEM_FIGURES)} FROM truth t
        WHERE i.account_id = t.account_id AND i.item_id = t.item_id
            AND ({_of("i", ITEM_FIGURES)}) IS DISTINCT FROM ({_of("t", ITEM_FIGURES)})
        """
    )
    await db.execute(f"DELETE FROM balance_sum s WHERE NOT EXISTS (SELECT FROM item i WHERE {sums.same('i', 's')})")
    await db.execute(
        f"""
        {SUMS} INSERT INTO balance_sum AS s ({sums.KEY}, {", ".join(sums.FIGURES)})
        SELECT {sums.KEY}, {", ".join(sums.FIGURES)} FROM truth t
        ON CONFLICT ({sums.KEY}) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in sums.FIGURES)}
        WHERE ({_of("s", sums.FIGURES)}) IS DISTINCT FROM ({_of("excluded", sums.FIGURES)})
        """
    )


def _of(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _pairs(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"ARRAY[{table}.{name}, t.{name}] AS {name}" for name in names)


def _set(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = t.{name}" for name in names)
