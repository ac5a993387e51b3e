"""Statements about requests. Transitions are single conditional UPDATEs: no row back means that somebody else was first."""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.invoicing.requests.intents import NewRequest
from services.invoicing.requests.rules import CancelIntent, Closing, Started
from shared.contracts.ledger import BalanceReserved, ReservationRefused

PAGE_MAX = 200
SHOWN = """request_id, method, kind, numbers, cycles, products, members, consolidate, one_invoice_per_month, subject, amount_fen, remark,
    status, cancel_wished, reason, detail, created_at, closed_at"""


async def next_id(db: Connection) -> int:
    request_id: int = await db.fetchval("SELECT nextval('request_id')")
    return request_id


async def add(db: Connection, new: Sequence[NewRequest], now: datetime) -> None:
    await db.executemany(
        """
        INSERT INTO request (account_id, request_id, method, kind, numbers, cycles, subject, amount_fen, remark, title, status,
            created_at, members, products, consolidate, one_invoice_per_month)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'reserving', $11, $12, $13, $14, $15)
        """,
        [
            (
                one.intent.account_id,
                one.request_id,
                one.intent.method,
                one.kind,
                list(one.intent.numbers),
                list(one.intent.cycles),
                one.intent.subject,
                one.intent.amount_fen,
                one.intent.remark,
                json.dumps(one.title),
                now,
                list(one.intent.members),
                list(one.intent.products),
                one.intent.consolidate,
                one.intent.one_invoice_per_month,
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


async def wish_cancel(db: Connection, intent: CancelIntent) -> str | None:
    """Note the wish; the request's status. Locks it, so that closing it comes before or after, never between."""
    status: str | None = await db.fetchval(
        """
        UPDATE request SET cancel_wished = cancel_wished OR closed_at IS NULL,
            cancel_reason = CASE WHEN closed_at IS NULL THEN coalesce(cancel_reason, $3) ELSE cancel_reason END
        WHERE account_id = $1 AND request_id = $2 RETURNING status
        """,
        intent.account_id,
        intent.request_id,
        intent.reason,
    )
    return status


async def is_cancel_wished(db: Connection, account_id: int, request_id: int) -> bool:
    wished: bool = await db.fetchval(
        "SELECT cancel_wished FROM request WHERE account_id = $1 AND request_id = $2", account_id, request_id
    )
    return wished


async def lock(db: Connection, account_id: int, request_id: int) -> bool:
    """Before its parts, as a cancel does: of two parts that come to rest at once, the second sees both. Whether a cancel is wished."""
    wished: bool = await db.fetchval(
        "SELECT cancel_wished FROM request WHERE account_id = $1 AND request_id = $2 FOR UPDATE", account_id, request_id
    )
    return wished


async def close(db: Connection, ends: Sequence[Closing], now: datetime) -> list[Closing]:
    """Those ends that are news. An invoice that turned up late may close a request again, better."""
    rows = await db.fetch(
        """
        UPDATE request r SET status = e.status, reason = e.reason, closed_at = $5
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS e (account_id, request_id, status, reason)
        WHERE r.account_id = e.account_id AND r.request_id = e.request_id AND r.status <> e.status RETURNING r.request_id
        """,
        [end.account_id for end in ends],
        [end.request_id for end in ends],
        [end.status for end in ends],
        [end.reason for end in ends],
        now,
    )
    closed = {row["request_id"] for row in rows}
    return [end for end in ends if end.request_id in closed]


async def notify_answered(db: Connection, account_id: int, request_id: int) -> None:
    """Wakes whoever waits for the ledger's word on this request, on any replica."""
    await db.execute("SELECT pg_notify('request_answered', $1)", f"{account_id}:{request_id}")


# what people look at


async def request(db: Connection, account_id: int, request_id: int) -> Record | None:
    return await db.fetchrow(
        f"SELECT {SHOWN} FROM request WHERE account_id = $1 AND request_id = $2", account_id, request_id
    )


async def answered_request(db: Connection, account_id: int, request_id: int) -> Record | None:
    """The request, once the ledger has spoken."""
    return await db.fetchrow(
        f"SELECT {SHOWN} FROM request WHERE account_id = $1 AND request_id = $2 AND status <> 'reserving'",
        account_id,
        request_id,
    )


async def requests_before(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        f"SELECT {SHOWN} FROM request WHERE account_id = $1 AND request_id < $2 ORDER BY request_id DESC LIMIT $3",
        account_id,
        before,
        limit,
    )
