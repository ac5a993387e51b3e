"""What arrives beside items: refunds that wait for their original, usage, cash."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.domain.intake import NewRefund, NewUsage
from services.ledger.domain.moves import DueRefund
from shared.contracts.accounts import CashToppedUp


async def add_refunds(db: Connection, refunds: Sequence[NewRefund], now: datetime) -> list[tuple[int, str, int]]:
    """Returns the keys of refunds that exist with other content."""
    if not refunds:
        return []
    rows = await db.fetch(
        """
        WITH given AS (
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::int[], $7::bigint[],
                $8::timestamptz[]) AS g (account_id, number, line, digest, original_number, original_line, cash_fen, occurred_at)
        ), fresh AS (
            INSERT INTO refund (account_id, number, line, digest, original_number, original_line, cash_fen, occurred_at, arrived_at)
            SELECT g.*, $9 FROM given g ORDER BY account_id, number, line
            ON CONFLICT (account_id, number, line) DO NOTHING
        )
        SELECT g.account_id, g.number, g.line FROM given g JOIN refund r USING (account_id, number, line)
        WHERE r.digest <> g.digest ORDER BY 1, 2, 3
        """,
        [one.account_id for one in refunds],
        [one.number for one in refunds],
        [one.line for one in refunds],
        [one.digest for one in refunds],
        [one.original_number for one in refunds],
        [one.original_line for one in refunds],
        [one.cash_fen for one in refunds],
        [one.occurred_at for one in refunds],
        now,
    )
    return [(row["account_id"], row["number"], row["line"]) for row in rows]


async def match_refunds(db: Connection, accounts: Sequence[int]) -> list[DueRefund]:
    """Refunds of these accounts whose original is here now; each is returned once."""
    rows = await db.fetch(
        """
        WITH due AS (
            SELECT DISTINCT ON (r.account_id, r.number, r.line) r.account_id, r.number, r.line, i.item_id
            FROM refund r JOIN item i ON i.account_id = r.account_id AND i.number = r.original_number AND i.line = r.original_line
            WHERE r.account_id = ANY ($1) AND r.item_id IS NULL
            ORDER BY r.account_id, r.number, r.line, i.item_id
        ), matched AS (
            UPDATE refund r SET item_id = d.item_id FROM due d
            WHERE r.account_id = d.account_id AND r.number = d.number AND r.line = d.line AND r.item_id IS NULL
            RETURNING r.account_id, r.number, r.line, r.item_id, r.cash_fen
        )
        SELECT * FROM matched ORDER BY account_id, item_id, number, line
        """,
        list(accounts),
    )
    return [DueRefund(**row) for row in rows]


async def add_usage(db: Connection, usage: Sequence[NewUsage]) -> list[tuple[int, str, int]]:
    """Returns the keys of usage that exists with other content."""
    if not usage:
        return []
    rows = await db.fetch(
        """
        WITH given AS (
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::text[], $7::bigint[],
                $8::timestamptz[], $9::timestamptz[])
            AS g (account_id, number, line, digest, cycle, subject, cash_fen, occurred_at, earliest_at)
        ), fresh AS (
            INSERT INTO usage_record (account_id, number, line, digest, cycle, subject, cash_fen, occurred_at, earliest_at)
            SELECT g.* FROM given g ORDER BY account_id, number, line ON CONFLICT (account_id, number, line) DO NOTHING
        )
        SELECT g.account_id, g.number, g.line FROM given g JOIN usage_record u USING (account_id, number, line)
        WHERE u.digest <> g.digest ORDER BY 1, 2, 3
        """,
        [one.account_id for one in usage],
        [one.number for one in usage],
        [one.line for one in usage],
        [one.digest for one in usage],
        [one.cycle for one in usage],
        [one.subject for one in usage],
        [one.cash_fen for one in usage],
        [one.occurred_at for one in usage],
        [one.earliest_at for one in usage],
    )
    return [(row["account_id"], row["number"], row["line"]) for row in rows]


async def add_cash(db: Connection, fact: CashToppedUp) -> None:
    await db.execute(
        """
        INSERT INTO cash AS c (account_id, topped_fen) VALUES ($1, $2)
        ON CONFLICT (account_id) DO UPDATE SET topped_fen = c.topped_fen + excluded.topped_fen
        """,
        fact.account_id,
        fact.cash_fen,
    )
