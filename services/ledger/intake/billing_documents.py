"""Billing documents beside items: refunds, which wait for their original, usage, and top-ups of cash."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Connection, Record

from services.ledger.intake.matching import RACE_SECONDS, Document, Matching, OverdueRefund, WaitingRefund
from services.ledger.intake.rules import NewRefund, NewUsage, RowKey
from shared.contracts.accounts import CashToppedUp

Original = tuple[int | None, int]
"""Its item, and what of it is left to be refunded."""


async def lock_waiting_refunds(db: Connection, accounts: Sequence[int]) -> list[Document]:
    """The originals that refunds of these accounts wait for."""
    rows = await db.fetch(
        """
        SELECT account_id, original_number FROM refund
        WHERE EXISTS (SELECT FROM refund WHERE item_id IS NULL) AND account_id = ANY ($1) AND item_id IS NULL
        ORDER BY account_id, arrived_at, number, line FOR UPDATE
        """,
        accounts,
    )
    return [tuple(row) for row in rows]


async def add_refunds(db: Connection, refunds: Sequence[NewRefund], now: datetime) -> list[RowKey]:
    """Returns the keys of refunds that exist with other content."""
    if not refunds:
        return []
    await db.execute(
        """
        INSERT INTO refund (account_id, number, line, digest, original_number, original_line, cash_fen, occurred_at, arrived_at, look_at)
        SELECT g.*, $9, $10 FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::int[], $7::bigint[],
            $8::timestamptz[]) AS g (account_id, number, line, digest, original_number, original_line, cash_fen, occurred_at)
        ORDER BY account_id, number, line ON CONFLICT (account_id, number, line) DO NOTHING
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
        now + timedelta(seconds=RACE_SECONDS),
    )
    return await _conflicting(db, "refund", refunds)


async def add_usage(db: Connection, usage: Sequence[NewUsage]) -> list[RowKey]:
    """Returns the keys of usage that exists with other content."""
    if not usage:
        return []
    await db.execute(
        """
        INSERT INTO usage_record (account_id, number, line, digest, cycle, subject, cash_fen, occurred_at, earliest_at)
        SELECT g.* FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::text[], $7::bigint[],
            $8::timestamptz[], $9::timestamptz[])
            AS g (account_id, number, line, digest, cycle, subject, cash_fen, occurred_at, earliest_at)
        ORDER BY account_id, number, line ON CONFLICT (account_id, number, line) DO NOTHING
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
    return await _conflicting(db, "usage_record", usage)


async def _conflicting(db: Connection, table: str, given: Sequence[NewRefund] | Sequence[NewUsage]) -> list[RowKey]:
    rows = await db.fetch(
        f"""
        SELECT g.* FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[]) AS g (account_id, number, line, digest)
            JOIN {table} t USING (account_id, number, line)
        WHERE t.digest <> g.digest ORDER BY 1, 2, 3
        """,
        *zip(*(one.key for one in given), strict=True),
    )
    return [tuple(row) for row in rows]


async def waiting_refunds(db: Connection, accounts: Sequence[int]) -> list[WaitingRefund]:
    """Refunds of these accounts that do not count yet, as they came, with their originals if those are here; locked.

    Mostly nobody's refund waits, and then no account is looked for.
    """
    rows = await db.fetch(
        """
        SELECT r.account_id, r.number, r.line, r.original_number, r.original_line, r.cash_fen, r.arrived_at
        FROM refund r WHERE EXISTS (SELECT FROM refund WHERE item_id IS NULL) AND r.account_id = ANY ($1) AND r.item_id IS NULL
        ORDER BY r.account_id, r.arrived_at, r.number, r.line FOR UPDATE
        """,
        list(accounts),
    )
    originals = await _originals(db, rows)
    return [_waiting(dict(row), originals) for row in rows]


def _waiting(row: dict[str, Any], originals: dict[tuple[int, str, int], Original]) -> WaitingRefund:
    original = originals.get((row["account_id"], row["original_number"], row.pop("original_line")), (None, 0))
    return WaitingRefund(**row, item_id=original[0], left_fen=original[1])


async def _originals(db: Connection, refunds: Sequence[Record]) -> dict[tuple[int, str, int], Original]:
    """Locked in the order in which everybody locks items. Of several kinds under one number the oldest is meant."""
    if not refunds:
        return {}
    rows = await db.fetch(
        """
        SELECT i.account_id, i.number, i.line, i.item_id, i.settled_fen - i.refunded_fen AS left_fen FROM item i
        WHERE (i.account_id, i.number, i.line) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[]))
        ORDER BY i.account_id, i.occurred_at, i.item_id FOR UPDATE
        """,
        *zip(*((row["account_id"], row["original_number"], row["original_line"]) for row in refunds), strict=True),
    )
    return {
        (row["account_id"], row["number"], row["line"]): (row["item_id"], row["left_fen"]) for row in reversed(rows)
    }


async def count(db: Connection, found: Matching) -> None:
    """These refunds count from now on."""
    if not found.due:
        return
    await db.execute(
        """
        UPDATE refund r SET item_id = d.item_id
        FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[]) AS d (account_id, number, line, item_id)
        WHERE r.account_id = d.account_id AND r.number = d.number AND r.line = d.line
        """,
        [one.account_id for one in found.due],
        [one.number for one in found.due],
        [one.line for one in found.due],
        [one.item_id for one in found.due],
    )


async def claim_overdue(db: Connection, _: datetime, now: datetime) -> OverdueRefund | None:
    """A refund that still waits. Whoever claims it looks again in a minute, should this process die."""
    row = await db.fetchrow(
        """
        UPDATE refund r SET look_at = $2 FROM (
            SELECT account_id, number FROM refund WHERE item_id IS NULL AND look_at <= $1
            ORDER BY look_at, account_id, number LIMIT 1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE r.account_id = due.account_id AND r.number = due.number
        RETURNING r.account_id, r.number, r.arrived_at, r.original_number
        """,
        now,
        now + timedelta(seconds=RACE_SECONDS),
    )
    return None if row is None else OverdueRefund(**row)


async def look_again(db: Connection, overdue: OverdueRefund, at: datetime | None) -> None:
    """At that moment, or only when something of the account arrives."""
    await db.execute(
        "UPDATE refund SET look_at = $3 WHERE account_id = $1 AND number = $2 AND item_id IS NULL",
        overdue.account_id,
        overdue.number,
        at,
    )


async def add_cash(db: Connection, fact: CashToppedUp) -> bool:
    """Once under its number. False: that number came before with another sum."""
    same: bool = await db.fetchval(
        """
        WITH fresh AS (
            INSERT INTO top_up (account_id, number, cash_fen, occurred_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (account_id, number) DO NOTHING RETURNING account_id, cash_fen
        ), kept AS (
            INSERT INTO cash AS c (account_id, topped_fen) SELECT * FROM fresh
            ON CONFLICT (account_id) DO UPDATE SET topped_fen = c.topped_fen + excluded.topped_fen
        )
        SELECT NOT EXISTS (SELECT FROM top_up WHERE account_id = $1 AND number = $2 AND cash_fen <> $3)
        """,
        fact.account_id,
        fact.number,
        fact.cash_fen,
        fact.occurred_at,
    )
    return same
