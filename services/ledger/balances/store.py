"""Balances, months and cash, of the sums, and what is published of them. What people read has the account in every statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.ledger.balances.rules import Sums
from services.ledger.queries.filters import predicates
from services.ledger.queries.past import OPEN, PAST_WHOLE


async def sums(db: Connection, account_id: int, now: datetime) -> list[Sums]:
    """Of what is open now, by subject."""
    return (await sums_of(db, [account_id], now))[account_id]


async def sums_of(db: Connection, accounts: Sequence[int], now: datetime) -> dict[int, list[Sums]]:
    """The same of several accounts. The two sides of offsets are of items: sums know only their difference."""
    rows = await db.fetch(
        """
        SELECT summed.*, coalesce(offset_cost_fen, 0) AS offset_cost_fen, coalesce(offset_accept_fen, 0) AS offset_accept_fen
        FROM (
            SELECT account_id, subject, sum(settled_fen)::bigint AS settled_fen, sum(refunded_fen)::bigint AS refunded_fen,
                sum(positive_fen)::bigint AS positive_fen, sum(negative_fen)::bigint AS negative_fen,
                sum(reserved_fen)::bigint AS reserved_fen, sum(invoiced_fen)::bigint AS invoiced_fen
            FROM balance_sum WHERE account_id = ANY ($1) AND opens_at <= $2 GROUP BY account_id, subject
        ) AS summed LEFT JOIN (
            SELECT account_id, subject, sum(greatest(offset_fen, 0))::bigint AS offset_cost_fen,
                sum(greatest(-offset_fen, 0))::bigint AS offset_accept_fen
            FROM item WHERE account_id = ANY ($1) AND offset_fen <> 0 AND opens_at <= $2 GROUP BY account_id, subject
        ) AS offsets USING (account_id, subject) ORDER BY account_id, subject
        """,
        list(accounts),
        now,
    )
    found: dict[int, list[Sums]] = {account_id: [] for account_id in accounts}
    for row in map(dict, rows):
        found[row.pop("account_id")].append(Sums(**row))
    return found


async def past_sums(db: Connection, account_id: int, as_of: datetime) -> list[Sums]:
    """Of what was open then, by subject: what `sums` said at that moment."""
    rows = await db.fetch(
        f"""
        SELECT subject, sum(settled_fen)::bigint AS settled_fen, sum(refunded_fen)::bigint AS refunded_fen,
            sum(greatest(invoiceable_fen, 0))::bigint AS positive_fen, sum(least(invoiceable_fen, 0))::bigint AS negative_fen,
            sum(reserved_fen)::bigint AS reserved_fen, sum(invoiced_fen)::bigint AS invoiced_fen,
            sum(greatest(offset_fen, 0))::bigint AS offset_cost_fen, sum(greatest(-offset_fen, 0))::bigint AS offset_accept_fen
        FROM {PAST_WHOLE} WHERE account_id = $1 AND {OPEN} GROUP BY subject ORDER BY subject
        """,
        account_id,
        as_of,
    )
    return [Sums(**row) for row in rows]


async def months(db: Connection, account_id: int, asked: Mapping[str, object]) -> list[Record]:
    """By subject, month, and when it opens."""
    tests, values = predicates(asked, 2)
    return await db.fetch(
        f"""
        SELECT subject, cycle, opens_at, sum(settled_fen)::bigint AS consumed_fen, sum(refunded_fen)::bigint AS refunded_fen,
            sum(invoiced_fen)::bigint AS invoiced_fen, sum(reserved_fen)::bigint AS in_progress_fen,
            sum(offset_fen)::bigint AS offset_fen, sum(positive_fen)::bigint AS available_fen, -sum(negative_fen)::bigint AS deficit_fen
        FROM balance_sum WHERE account_id = $1{tests} GROUP BY subject, cycle, opens_at ORDER BY cycle, subject, opens_at
        """,
        account_id,
        *values,
    )


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
