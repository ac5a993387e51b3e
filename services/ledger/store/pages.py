"""What people look at, and what is published of it: balances, items, cash. Every statement has the account in it."""

from datetime import datetime, timedelta

from asyncpg import Connection, Record

from services.ledger.domain.balances import Sums
from services.ledger.domain.changes import Changed
from services.ledger.store.items import NOTE_CHANGE

PAGE_MAX = 200
PUBLISH_SECONDS = 1.0
LEASE_SECONDS = 30.0
OPENINGS_MAX = 500
ITEM = """item_id, kind, number, line, contract_number, cycle, subject, content, tax_percent, product_code, item_name, spec, occurred_at,
    arrived_at, opens_at, settled_fen, refunded_fen, invoiceable_fen, reserved_fen, invoiced_fen, offset_fen"""


async def sums(db: Connection, account_id: int, now: datetime) -> list[Sums]:
    """Of what is open now, by subject."""
    rows = await db.fetch(
        """
        SELECT subject, sum(settled_fen)::bigint AS settled_fen, sum(refunded_fen)::bigint AS refunded_fen,
            sum(positive_fen)::bigint AS positive_fen, sum(negative_fen)::bigint AS negative_fen,
            sum(reserved_fen)::bigint AS reserved_fen, sum(invoiced_fen)::bigint AS invoiced_fen
        FROM balance_sum WHERE account_id = $1 AND opens_at <= $2 GROUP BY subject ORDER BY subject
        """,
        account_id,
        now,
    )
    return [Sums(**row) for row in rows]


async def cash_fen(db: Connection, account_id: int) -> int:
    """Topped up, less what orders and bills took, plus what refunds gave back."""
    cash: int = await db.fetchval(
        """
        SELECT coalesce((SELECT topped_fen FROM cash WHERE account_id = $1), 0)
            - coalesce((SELECT sum(settled_fen - refunded_fen) FROM balance_sum WHERE account_id = $1), 0)::bigint
        """,
        account_id,
    )
    return cash


async def items_after(
    db: Connection, account_id: int, after: tuple[datetime, int], subject: str | None, cycle: str | None, limit: int
) -> list[Record]:
    """A page by keyset: the cursor is the last row's business time and id."""
    return await db.fetch(
        f"""
        SELECT {ITEM} FROM item
        WHERE account_id = $1 AND (occurred_at, item_id) > ($2, $3) AND ($4::text IS NULL OR subject = $4)
            AND ($5::text IS NULL OR cycle = $5)
        ORDER BY occurred_at, item_id LIMIT $6
        """,
        account_id,
        *after,
        subject,
        cycle,
        limit,
    )


async def items_of_number(db: Connection, account_id: int, number: str) -> list[Record]:
    return await db.fetch(
        f"SELECT {ITEM} FROM item WHERE account_id = $1 AND number = $2 ORDER BY kind, line", account_id, number
    )


async def usage_of_number(db: Connection, account_id: int, number: str) -> list[Record]:
    return await db.fetch(
        "SELECT number, line, cycle, subject, cash_fen, earliest_at FROM usage_record WHERE account_id = $1 AND number = $2 ORDER BY line",
        account_id,
        number,
    )


async def waiting_refunds(db: Connection, account_id: int) -> list[str]:
    rows = await db.fetch(
        "SELECT number FROM refund WHERE account_id = $1 AND item_id IS NULL ORDER BY arrived_at, number, line",
        account_id,
    )
    return [row["number"] for row in rows]


async def claim_changed(db: Connection, at: datetime, _: datetime) -> Changed | None:
    """An account whose balance changed and was not published within the last second."""
    row = await db.fetchrow(
        """
        UPDATE account_change c SET lease_until = $3 FROM (
            SELECT account_id FROM account_change
            WHERE version > published AND published_at <= $2 AND lease_until <= $1
            ORDER BY published_at, account_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE c.account_id = due.account_id RETURNING c.account_id, c.version
        """,
        at,
        at - timedelta(seconds=PUBLISH_SECONDS),
        at + timedelta(seconds=LEASE_SECONDS),
    )
    return None if row is None else Changed(row["account_id"], row["version"], at)


async def note_openings(db: Connection, _: datetime, now: datetime) -> int | None:
    """The next accounts of whose sums some have opened by now have changed. Returns how many; None when there are none."""
    place = await db.fetchrow("SELECT opens_at, through_id FROM opening_sweep FOR UPDATE SKIP LOCKED")
    if place is None:
        return None
    rows = await db.fetch(
        """
        SELECT DISTINCT opens_at, account_id FROM balance_sum
        WHERE (opens_at, account_id) > ($1, $2) AND opens_at <= $3 ORDER BY opens_at, account_id LIMIT $4
        """,
        *place,
        now,
        OPENINGS_MAX,
    )
    if not rows:
        return None
    await db.execute(
        NOTE_CHANGE.format(source="unnest($1::bigint[]) AS opened (account_id)"), [row["account_id"] for row in rows]
    )
    await db.execute("UPDATE opening_sweep SET opens_at = $1, through_id = $2", *rows[-1])
    return len(rows)


async def mark_published(db: Connection, changed: Changed) -> None:
    await db.execute(
        """
        UPDATE account_change SET published = greatest(published, $2), published_at = $3, lease_until = 'epoch' WHERE account_id = $1
        """,
        changed.account_id,
        changed.version,
        changed.claimed_at,
    )
