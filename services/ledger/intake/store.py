"""Items as they arrive, with the sums they raise; and what a batch with refunds locks before it writes anything."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from asyncpg import Connection

from services.ledger.intake.matching import Document
from services.ledger.intake.rules import NewItem, RowKey
from services.ledger.journal import sums
from services.ledger.journal.sums import SumKey

COLUMNS = tuple(NewItem.__slots__)
"""A new item is written as it is; what follows from it or from its arrival stands beside it."""
GIVEN = f"""
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::timestamptz[],
        $18::timestamptz[], $19::bigint[]) AS g ({", ".join(COLUMNS)})
"""
ITEM = attrgetter(*COLUMNS)


async def lock_items(db: Connection, documents: Sequence[Document]) -> set[SumKey]:
    """The items of these documents, and which sums they are in."""
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY} FROM item WHERE (account_id, number) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
        ORDER BY account_id, occurred_at, item_id FOR UPDATE
        """,
        *zip(*documents, strict=True),
    )
    return {SumKey(*row) for row in rows}


async def lock_changes(db: Connection, accounts: Sequence[int]) -> None:
    """The rows that say that the balances of accounts changed: everybody locks them after the sums."""
    await db.execute("SELECT FROM account_change WHERE account_id = ANY ($1) ORDER BY account_id FOR UPDATE", accounts)


async def add_items(db: Connection, items: Sequence[NewItem], catalogue_version: str, now: datetime) -> list[RowKey]:
    """Insert what is new and raise the sums by it, in one statement. Returns the keys of items that exist with other content."""
    if not items:
        return []
    fresh = await db.fetchval(
        f"""
        WITH given AS ({GIVEN}), fresh AS (
            INSERT INTO item ({", ".join(COLUMNS)}, invoiceable_fen, arrived_at, catalogue_version)
            SELECT g.*, g.settled_fen, $20, $21 FROM given g
            ON CONFLICT (account_id, number, line, kind) DO NOTHING
            RETURNING {sums.KEY}, settled_fen
        ), raised AS (
            INSERT INTO balance_sum AS s ({sums.COLUMNS})
            SELECT {sums.KEY}, sum(settled_fen), 0, sum(settled_fen), 0, 0, 0, 0
            FROM fresh GROUP BY {sums.KEY} ORDER BY {sums.KEY}
            {sums.ADD} RETURNING account_id
        ), noted AS ({sums.NOTE_CHANGE.format(source="raised")})
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
