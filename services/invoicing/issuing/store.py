"""Statements about parts: queue, change, cancel. Guards are in the statements, not in their callers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from asyncpg import Connection

from services.invoicing.invoice_files.store import add_document_job
from services.invoicing.issuing.claims import CLAIMED, claimed
from services.invoicing.issuing.history import tell_history
from services.invoicing.issuing.rules import (
    ISSUED,
    NEXT_STATUS,
    SUBMITTING,
    Change,
    Claimed,
    Resting,
)
from services.invoicing.issuing.splitting import Part
from services.invoicing.quotas import store as quotas
from services.invoicing.requests.rules import Cancel
from shared.contracts.ledger import BalanceReserved
from shared.domain.calendar import cycle_of
from shared.domain.identifiers import serial_of


async def add(db: Connection, fact: BalanceReserved, parts: Sequence[Part]) -> None:
    """Queued and due at once, each under the serial it will keep."""
    for part in parts:
        part_id: int = await db.fetchval("SELECT nextval('part_id')")
        serial = serial_of(part_id, "B", 1)
        await db.execute(
            """
            INSERT INTO part (account_id, part_id, request_id, part_no, reservation_id, subject, legal_entity, content, tax_percent,
                kind, gross_fen, net_fen, tax_fen, shares, lines, status, serial, members, cycles)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'queued', $16, $17, $18)
            """,
            fact.account_id,
            part_id,
            fact.request_id,
            part.part_no,
            fact.reservation_id,
            part.subject,
            part.legal_entity,
            part.content,
            part.tax_percent,
            part.kind,
            part.gross_fen,
            part.net_fen,
            part.tax_fen,
            json.dumps([share.model_dump() for share in part.shares]),
            json.dumps([asdict(line) for line in part.lines]),
            serial,
            list(part.members),
            list(part.cycles),
        )
        await db.execute(
            "INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($1, $2, $3)",
            serial,
            fact.account_id,
            part_id,
        )


async def void_unsubmitted(db: Connection, ask: Cancel, now: datetime) -> list[Claimed]:
    """Those that are not with the platform, and hold no quota; a worker that is taking one now is waited for."""
    await db.execute(
        "SELECT FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_id FOR UPDATE",
        ask.account_id,
        ask.request_id,
    )
    rows = await db.fetch(
        f"""
        WITH mine AS (
            SELECT account_id, part_id, status AS before FROM part
            WHERE account_id = $1 AND request_id = $2 AND status IN ('queued', 'waiting_quota')
        ), voided AS (
            UPDATE part p SET status = 'voided', reason = $3 FROM mine
            WHERE p.account_id = mine.account_id AND p.part_id = mine.part_id RETURNING p.*, mine.before
        )
        SELECT {CLAIMED}, p.before FROM voided p JOIN request r USING (account_id, request_id) ORDER BY p.part_no
        """,
        ask.account_id,
        ask.request_id,
        ask.reason,
    )
    for row in rows:
        await tell_history(db, row["account_id"], row["part_id"], row["before"], "voided", now)
    return [claimed(row, "submit", now, now) for row in rows]


async def hurry(db: Connection, ask: Cancel) -> None:
    """Those that are with the platform are due at once, to have it cancelled there."""
    await db.execute(
        "UPDATE part SET due_at = 'epoch' WHERE account_id = $1 AND request_id = $2 AND status = 'submitting'",
        ask.account_id,
        ask.request_id,
    )


async def change(db: Connection, part: Claimed, made: Change, now: datetime) -> str | None:
    """The part's new status, or None when nothing changed: a stale holder, or a state this event can't come in.

    Locks the request first, as a cancel does: of two parts that come to rest at once, the second sees both.
    """
    wished = await db.fetchval(
        "SELECT cancel_wished FROM request WHERE account_id = $1 AND request_id = $2 FOR UPDATE",
        part.account_id,
        part.request_id,
    )
    if wished and made.event == "short":  # it shall not wait any more
        made = replace(made, event="unsettled", next_step="query", due_at=part.claimed_at)
    current = await db.fetchrow(
        "SELECT status, epoch, quota_month FROM part WHERE account_id = $1 AND part_id = $2 FOR UPDATE",
        part.account_id,
        part.part_id,
    )
    assert current is not None
    status = NEXT_STATUS.get((current["status"], made.event))
    if current["epoch"] != part.epoch and not made.fact:
        return None
    if status is None:
        await _rest(db, part, made)
        return None
    await db.execute(
        """
        UPDATE part SET status = $3, next_step = $4, due_at = coalesce($5, due_at), lease_until = NULL, number = $6, issued_at = $7,
            specimen = $8, reason = $9, text = $10, qr = $11, recheck = false, cancel_heard = cancel_heard OR $12,
            quota_month = CASE WHEN $3 = 'submitting' THEN quota_month END,
            unheard = $13
        WHERE account_id = $1 AND part_id = $2
        """,
        part.account_id,
        part.part_id,
        status,
        made.next_step,
        made.due_at,
        made.number,
        made.issued_at,
        made.specimen,
        made.reason,
        made.text,
        made.qr,
        made.cancel_heard,
        made.unheard,
    )
    if made.number is not None:
        await db.execute(
            "INSERT INTO issued_number (number, account_id, part_id) VALUES ($1, $2, $3)",
            made.number,
            part.account_id,
            part.part_id,
        )
    if status == ISSUED:
        await add_document_job(db, part)
    await tell_history(db, part.account_id, part.part_id, current["status"], status, now)
    if status != SUBMITTING:
        await _settle_quota(db, part, made, current["quota_month"])
    return status


async def _settle_quota(db: Connection, part: Claimed, made: Change, month: str | None) -> None:
    """What was held is used, or free again; what the platform called too much, it is asked about."""
    held = {} if month is None else {month: -part.net_fen}
    issued = {} if made.issued_at is None else {cycle_of(made.issued_at): part.net_fen}
    await quotas.count(db, part.legal_entity, held, issued)
    if made.event == "short" and month is not None:
        await quotas.ask_soon(db, part.legal_entity, month)


async def _rest(db: Connection, part: Claimed, made: Change) -> None:
    """A part that has ended stays as it is; while the platform's answer is open, it is asked again."""
    await db.execute(
        """
        UPDATE part SET recheck = recheck AND $4, due_at = coalesce($5, due_at), lease_until = NULL, unheard = $6
        WHERE account_id = $1 AND part_id = $2 AND epoch = $3
        """,
        part.account_id,
        part.part_id,
        part.epoch,
        made.event == "unsettled",
        made.due_at,
        made.unheard,
    )


async def look_again(db: Connection, serial: str) -> None:
    """Due at once, for a query, unless there is a document already, or it waits to be submitted again."""
    await db.execute(
        """
        UPDATE part p SET due_at = 'epoch', next_step = 'query', recheck = p.status IN ('failed', 'voided')
        FROM platform_serial s
        WHERE s.serial = $1 AND p.account_id = s.account_id AND p.part_id = s.part_id AND p.serial = s.serial
            AND p.status IN ('queued', 'submitting', 'failed', 'voided')
        """,
        serial,
    )


async def of_request(db: Connection, account_id: int, request_id: int) -> list[Resting]:
    """All parts of a request, which is locked by now."""
    rows = await db.fetch(
        "SELECT status, number, reason FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_no",
        account_id,
        request_id,
    )
    return [Resting(**row) for row in rows]
