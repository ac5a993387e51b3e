"""Statements about requests. Transitions are single conditional UPDATEs: no row back means that somebody else was first."""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.invoicing.issuing.rules import Closing
from services.invoicing.issuing.splitting import Started
from services.invoicing.requests.rules import OPERATION, Ask, Cancel, First, NewRequest
from shared.contracts.ledger import BalanceReserved, ReservationRefused


async def first_under_key(db: Connection, ask: Ask) -> First | None:
    """What was first asked under this idempotency key. A twin in another transaction is waited for."""
    await db.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", hash_of(ask.account_id), ask.idempotency_key)
    row = await db.fetchrow(
        "SELECT request_id, digest FROM idempotency WHERE account_id = $1 AND operation = $2 AND key = $3",
        ask.account_id,
        OPERATION,
        ask.idempotency_key,
    )
    return None if row is None else First(**row)


async def next_id(db: Connection) -> int:
    request_id: int = await db.fetchval("SELECT nextval('request_id')")
    return request_id


async def add(db: Connection, new: Sequence[NewRequest], now: datetime) -> None:
    """Store what was taken, with the key it was taken under."""
    await db.executemany(
        """
        WITH first AS (
            INSERT INTO idempotency (account_id, operation, key, digest, request_id, created_at)
            VALUES ($1, $11, $12, $13, $2, $14)
        )
        INSERT INTO request (account_id, request_id, method, kind, numbers, cycles, subject, amount_fen, remark, title, status,
            created_at, members, products, consolidate, one_invoice_per_month)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'reserving', $14, $15, $16, $17, $18)
        """,
        [
            (
                one.ask.account_id,
                one.request_id,
                one.ask.method,
                one.kind,
                list(one.ask.numbers),
                list(one.ask.cycles),
                one.ask.subject,
                one.ask.amount_fen,
                one.ask.remark,
                json.dumps(one.title),
                OPERATION,
                one.ask.idempotency_key,
                one.ask.digest,
                now,
                list(one.ask.members),
                list(one.ask.products),
                one.ask.consolidate,
                one.ask.one_invoice_per_month,
            )
            for one in new
        ],
    )


async def ledger_reserved(db: Connection, fact: BalanceReserved, now: datetime) -> Started | None:
    """RESERVING to INVOICING, to OFFSET_ONLY, or to VOIDED when a cancel was wished meanwhile; None if it is not news."""
    row = await db.fetchrow(
        """
        UPDATE request SET reservation_id = $3,
            status = CASE WHEN cancel_wished THEN 'voided' WHEN $5 THEN 'offset_only' ELSE 'invoicing' END,
            reason = cancel_reason,
            closed_at = CASE WHEN cancel_wished OR $5 THEN $4::timestamptz END,
            detail = $6
        WHERE account_id = $1 AND request_id = $2 AND status = 'reserving'
        RETURNING kind, status, consolidate, one_invoice_per_month
        """,
        fact.account_id,
        fact.request_id,
        fact.reservation_id,
        now,
        not fact.groups,
        json.dumps({"offsets": [pair.model_dump() for pair in fact.offsets]} if fact.offsets else {}),
    )
    return None if row is None else Started(**row)


async def ledger_refused(db: Connection, fact: ReservationRefused, now: datetime) -> bool:
    """RESERVING to REFUSED with the ledger's reason. Whether that is news."""
    refused = await db.fetchval(
        """
        UPDATE request SET status = 'refused', reason = $3, detail = $4, closed_at = $5
        WHERE account_id = $1 AND request_id = $2 AND status = 'reserving' RETURNING true
        """,
        fact.account_id,
        fact.request_id,
        fact.reason,
        json.dumps(fact.detail),
        now,
    )
    return refused is True


async def wish_cancel(db: Connection, ask: Cancel) -> str | None:
    """Note the wish; the request's status. Locks it, so that closing it comes before or after, never between."""
    status: str | None = await db.fetchval(
        """
        UPDATE request SET cancel_wished = cancel_wished OR closed_at IS NULL,
            cancel_reason = CASE WHEN closed_at IS NULL THEN coalesce(cancel_reason, $3) ELSE cancel_reason END
        WHERE account_id = $1 AND request_id = $2 RETURNING status
        """,
        ask.account_id,
        ask.request_id,
        ask.reason,
    )
    return status


async def close(db: Connection, closing: Closing | None, now: datetime) -> bool:
    """Whether the request's end is news. A document that turned up late may close it again, better."""
    if closing is None:
        return False
    changed = await db.fetchval(
        """
        UPDATE request SET status = $3, reason = $4, closed_at = $5
        WHERE account_id = $1 AND request_id = $2 AND status <> $3 RETURNING true
        """,
        closing.account_id,
        closing.request_id,
        closing.status,
        closing.reason,
        now,
    )
    return changed is True


async def notify_answered(db: Connection, account_id: int, request_id: int) -> None:
    """Wakes whoever waits for the ledger's word on this request, on any replica."""
    await db.execute("SELECT pg_notify('request_answered', $1)", f"{account_id}:{request_id}")


def hash_of(account_id: int) -> int:
    """The account as a signed 32-bit lock number; two accounts that share one merely wait for each other."""
    return account_id % 2**31
