"""Statements about parts: queue, claim, change. Guards are in the statements, not in their callers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from asyncpg import Connection, Record

from services.invoicing.domain.parts import (
    ISSUED,
    LEASE_SECONDS,
    NEXT_STATUS,
    SUBMITTING,
    Change,
    Claimed,
    Resting,
)
from services.invoicing.domain.requests import Cancel
from services.invoicing.domain.splitting import Part
from services.invoicing.store import quotas
from services.invoicing.store.documents import add_document_job
from services.invoicing.store.history import tell_history
from shared.contracts.invoicing import Share
from shared.contracts.ledger import BalanceReserved
from shared.domain.calendar import cycle_of
from shared.domain.identifiers import serial_of

CLAIMED = """p.account_id, p.part_id, p.request_id, p.reservation_id, p.subject, p.legal_entity, p.content, p.tax_percent, p.kind,
    p.gross_fen, p.net_fen, p.tax_fen, p.shares, p.lines, p.serial, p.tries, p.epoch, p.reason, p.text, p.traceparent,
    r.cancel_reason, r.title, r.remark, (SELECT k.wrapped_key FROM sealing_key k WHERE k.account_id = p.account_id) AS wrapped_key"""


STEP = """CASE WHEN r.cancel_wished AND p.status = 'submitting' AND p.next_step = 'submit' THEN 'query'
    WHEN r.cancel_wished AND p.status = 'submitting' AND p.next_step = 'query' AND NOT p.cancel_heard AND NOT EXISTS (
        SELECT FROM attempt a WHERE a.account_id = p.account_id AND a.part_id = p.part_id AND a.attempt_no = p.tries
            AND a.step = 'cancel') THEN 'cancel' ELSE p.next_step END"""
"""A wish to cancel goes out until the platform has heard it, and after each try it is asked what became of the part. What it does
not know is not submitted again."""


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


async def void_queued(db: Connection, ask: Cancel, now: datetime) -> list[Claimed]:
    """Those that are not with the platform; a worker that is taking one now is waited for."""
    await db.execute(
        "SELECT FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_id FOR UPDATE",
        ask.account_id,
        ask.request_id,
    )
    rows = await db.fetch(
        f"""
        WITH mine AS (
            SELECT account_id, part_id, status AS before, quota_month AS held_in FROM part
            WHERE account_id = $1 AND request_id = $2 AND status IN ('queued', 'waiting_quota')
        ), voided AS (
            UPDATE part p SET status = 'voided', reason = $3, quota_month = NULL FROM mine
            WHERE p.account_id = mine.account_id AND p.part_id = mine.part_id RETURNING p.*, mine.before, mine.held_in
        )
        SELECT {CLAIMED}, 'submit' AS step, p.before, p.held_in
        FROM voided p JOIN request r USING (account_id, request_id) ORDER BY p.part_no
        """,
        ask.account_id,
        ask.request_id,
        ask.reason,
    )
    for row in rows:
        await tell_history(db, row["account_id"], row["part_id"], row["before"], "voided", now)
    await quotas.release(db, [(row["legal_entity"], row["held_in"], row["net_fen"]) for row in rows])
    return [_claimed(row, now, now) for row in rows]


async def hurry(db: Connection, ask: Cancel) -> None:
    """Those that are with the platform are due at once, to have it cancelled there."""
    await db.execute(
        "UPDATE part SET due_at = 'epoch' WHERE account_id = $1 AND request_id = $2 AND status = 'submitting'",
        ask.account_id,
        ask.request_id,
    )


async def claim_due(db: Connection, at: datetime, now: datetime) -> Claimed | None:
    """Take one due part: lease, epoch, and the attempt row of the call that follows. From here on the next step is a query.

    What is to be submitted holds its net amount of the seller's quota; what is too much for it waits, and the next is taken.
    """
    while True:
        row = await db.fetchrow(
            f"""
            SELECT {CLAIMED}, {STEP} AS step, p.status, p.quota_month FROM part p JOIN request r USING (account_id, request_id)
            WHERE (p.status IN ('queued', 'submitting') OR p.recheck) AND p.due_at <= $1
                AND (p.lease_until IS NULL OR p.lease_until < $1)
            ORDER BY p.due_at, p.account_id, p.part_id LIMIT 1 FOR UPDATE OF p SKIP LOCKED
            """,
            at,
        )
        if row is None:
            return None
        if row["step"] != "submit" or await _holds_quota(db, row, at, now):
            return await _taken(db, row, at, now)


async def _holds_quota(db: Connection, row: Record, at: datetime, now: datetime) -> bool:
    """Of this month: what it held of another is free again."""
    if row["quota_month"] == cycle_of(now):
        return True
    await quotas.release(db, [(row["legal_entity"], row["quota_month"], row["net_fen"])])
    found = await quotas.hold(db, row["legal_entity"], row["net_fen"], now)
    status = row["status"] if found.held else NEXT_STATUS[row["status"], "short"]
    await db.execute(
        "UPDATE part SET status = $3, quota_month = $4, due_at = $5, lease_until = NULL WHERE account_id = $1 AND part_id = $2",
        row["account_id"],
        row["part_id"],
        status,
        found.month if found.held else None,
        at,
    )
    await tell_history(db, row["account_id"], row["part_id"], row["status"], status, at)
    return found.held


async def _taken(db: Connection, row: Record, at: datetime, now: datetime) -> Claimed:
    status = NEXT_STATUS.get((row["status"], "claimed"), row["status"])
    await db.execute(
        """
        UPDATE part SET status = $3, next_step = 'query', tries = tries + 1, epoch = epoch + 1, lease_until = $4
        WHERE account_id = $1 AND part_id = $2
        """,
        row["account_id"],
        row["part_id"],
        status,
        at + timedelta(seconds=LEASE_SECONDS),
    )
    await db.execute(
        "INSERT INTO attempt (account_id, part_id, attempt_no, serial, step, at) VALUES ($1, $2, $3, $4, $5, $6)",
        row["account_id"],
        row["part_id"],
        row["tries"] + 1,
        row["serial"],
        row["step"],
        at,
    )
    await tell_history(db, row["account_id"], row["part_id"], row["status"], status, at)
    return _claimed(row, at, now, taken=1)


def _claimed(row: Record, at: datetime, now: datetime, taken: int = 0) -> Claimed:
    values = {
        name: value
        for name, value in row.items()
        if name not in {"shares", "lines", "title", "tries", "epoch", "status", "quota_month", "before", "held_in"}
    }
    return Claimed(
        **values,
        shares=tuple(Share(**share) for share in json.loads(row["shares"])),
        lines=tuple(json.loads(row["lines"])),
        title=json.loads(row["title"]),
        tries=row["tries"] + taken,
        epoch=row["epoch"] + taken,
        claimed_at=at,
        printed_at=now,
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
            quota_month = CASE WHEN $3 = 'submitting' THEN quota_month END, waiting_since = NULL
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
    await quotas.release(db, [(part.legal_entity, month, part.net_fen)])
    if made.issued_at is not None:
        await quotas.use(db, part.legal_entity, part.net_fen, made.issued_at)
    if made.event == "short" and month is not None:
        await quotas.ask_soon(db, part.legal_entity, month)


async def _rest(db: Connection, part: Claimed, made: Change) -> None:
    """A part that has ended stays as it is; while the platform's answer is open, it is asked again."""
    await db.execute(
        """
        UPDATE part SET recheck = recheck AND $4, due_at = coalesce($5, due_at), lease_until = NULL
        WHERE account_id = $1 AND part_id = $2 AND epoch = $3
        """,
        part.account_id,
        part.part_id,
        part.epoch,
        made.event == "unsettled",
        made.due_at,
    )


async def look_again(db: Connection, serial: str) -> None:
    """Due at once, for a query, unless there is a document already."""
    await db.execute(
        """
        UPDATE part p SET due_at = 'epoch', next_step = 'query', recheck = p.status IN ('waiting_quota', 'failed', 'voided')
        FROM platform_serial s
        WHERE s.serial = $1 AND p.account_id = s.account_id AND p.part_id = s.part_id
            AND p.status IN ('queued', 'waiting_quota', 'submitting', 'failed', 'voided')
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
