"""Statements about parts: queue, claim, cancel, wait. Guards are in the statements, not in their callers."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from asyncpg import Connection

from services.invoicing.issuing.rules import ClaimedPart, DuePart, HeldPart, StatusChange, VoidedPart
from services.invoicing.issuing.splitting import QueuedPart
from services.invoicing.issuing.waiting import Looked, WaitingPart
from services.invoicing.quotas.store import left, too_much
from services.invoicing.requests.rules import CancelIntent, Resting
from services.invoicing.submissions import store as submissions
from services.invoicing.submissions.store import SubmissionTable
from shared.contracts.ledger import BalanceReserved
from shared.domain.calendar import cycle_of

CONTENT = """t.account_id, t.part_id, t.request_id, t.reservation_id, t.subject, t.legal_entity, t.content, t.tax_percent, t.kind,
    t.gross_fen, t.net_fen, t.tax_fen, t.shares"""

PARTS = SubmissionTable(
    name="part",
    key="part_id",
    credit_note_id="0",
    due=f"t.status = 'submitting' OR t.recheck OR (t.status = 'queued' AND NOT {too_much('t', '$2')})",
    askable="t.status IN ('queued', 'submitting', 'failed', 'voided')",
    loaded=f"""{CONTENT}, t.lines, t.status, t.quota_month, t.cancel_heard, r.cancel_wished, r.cancel_reason, r.title, r.remark, (
        SELECT a.step FROM attempt a
        WHERE a.account_id = t.account_id AND a.part_id = t.part_id AND a.credit_note_id = 0 AND a.attempt_no = t.tries) AS last_step""",
    joined="JOIN request r USING (account_id, request_id)",
    held="t.quota_month, t.cancel_heard",
)
"""$2 of a part that is due: the month. One that is too much for its seller's quota is passed over; another worker has it wait."""


async def next_ids(db: Connection, count: int) -> list[int]:
    rows = await db.fetch("SELECT nextval('part_id') AS part_id FROM generate_series(1, $1)", count)
    return [row["part_id"] for row in rows]


async def add(db: Connection, fact: BalanceReserved, parts: Sequence[QueuedPart]) -> None:
    """Queued and due at once, each under the serial it will keep."""
    await db.executemany(
        """
        WITH numbered AS (INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($16, $1, $2))
        INSERT INTO part (account_id, part_id, request_id, part_no, reservation_id, subject, legal_entity, content, tax_percent,
            kind, gross_fen, net_fen, tax_fen, shares, lines, status, serial, members, cycles)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'queued', $16, $17, $18)
        """,
        [
            (
                fact.account_id,
                queued.part_id,
                fact.request_id,
                queued.part.part_no,
                fact.reservation_id,
                queued.part.subject,
                queued.part.legal_entity,
                queued.part.content,
                queued.part.tax_percent,
                queued.part.kind,
                queued.part.gross_fen,
                queued.part.net_fen,
                queued.part.tax_fen,
                json.dumps([share.model_dump() for share in queued.part.shares]),
                json.dumps([asdict(line) for line in queued.part.lines]),
                queued.serial,
                list(queued.part.members),
                list(queued.part.cycles),
            )
            for queued in parts
        ],
    )


async def due_part(db: Connection, at: datetime, now: datetime) -> DuePart | None:
    row = await submissions.due(db, PARTS, at, cycle_of(now))
    if row is None:
        return None
    return DuePart(**submissions.read(row), claimed_at=at, printed_at=now)


async def held_part(db: Connection, part: ClaimedPart) -> HeldPart:
    """Locked after its request."""
    return HeldPart(**await submissions.held(db, PARTS, part))


async def lock(db: Connection, account_id: int, part_id: int) -> None:
    """As whoever asks for a credit note of its invoice does."""
    await db.execute("SELECT FROM part WHERE account_id = $1 AND part_id = $2 FOR UPDATE", account_id, part_id)


async def of_request(db: Connection, account_id: int, request_id: int) -> list[Resting]:
    """All parts of a request, which is locked by now."""
    rows = await db.fetch(
        "SELECT status, number, reason FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_no",
        account_id,
        request_id,
    )
    return [Resting(**row) for row in rows]


async def add_history(db: Connection, changes: Sequence[StatusChange], at: datetime) -> None:
    """Of each part one change at most."""
    await db.execute(
        """
        INSERT INTO part_history (account_id, part_id, change_no, from_status, to_status, at)
        SELECT c.account_id, c.part_id, coalesce(max(h.change_no), 0) + 1, c.before, c.after, $5
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS c (account_id, part_id, before, after)
            LEFT JOIN part_history h USING (account_id, part_id)
        WHERE c.before <> c.after GROUP BY c.account_id, c.part_id, c.before, c.after
        """,
        [one.account_id for one in changes],
        [one.part_id for one in changes],
        [one.before for one in changes],
        [one.after for one in changes],
        at,
    )


# a wish to cancel


async def lock_of_request(db: Connection, intent: CancelIntent) -> None:
    """A worker that is taking one now is waited for."""
    await db.execute(
        "SELECT FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_id FOR UPDATE",
        intent.account_id,
        intent.request_id,
    )


async def void_unsubmitted(db: Connection, intent: CancelIntent) -> list[VoidedPart]:
    """Those that are not with the platform, and hold no quota."""
    rows = await db.fetch(
        f"""
        WITH mine AS (
            SELECT account_id, part_id, status AS before FROM part
            WHERE account_id = $1 AND request_id = $2 AND status IN ('queued', 'waiting_quota')
        ), voided AS (
            UPDATE part p SET status = 'voided', reason = $3 FROM mine
            WHERE p.account_id = mine.account_id AND p.part_id = mine.part_id RETURNING p.*, mine.before
        )
        SELECT {CONTENT}, t.reason, t.before FROM voided t ORDER BY t.part_no
        """,
        intent.account_id,
        intent.request_id,
        intent.reason,
    )
    return [VoidedPart(**submissions.read(row)) for row in rows]


async def make_due_now(db: Connection, intent: CancelIntent) -> None:
    """Those that are with the platform, to have them cancelled there."""
    await db.execute(
        "UPDATE part SET due_at = 'epoch' WHERE account_id = $1 AND request_id = $2 AND status = 'submitting'",
        intent.account_id,
        intent.request_id,
    )


# those that wait for quota


async def next_waiting(db: Connection, at: datetime, now: datetime) -> WaitingPart | None:
    """A part that is too much and not told to wait yet; or one that waits and is to look again."""
    row = await db.fetchrow(
        f"""
        SELECT p.account_id, p.part_id, p.request_id, p.legal_entity, p.net_fen, p.status, p.notified_month, $2 AS month, p.traceparent,
            {left("p", "$2")} AS left_net_fen
        FROM part p WHERE p.due_at <= $1 AND (p.status = 'waiting_quota' OR (p.status = 'queued' AND {too_much("p", "$2")}))
        ORDER BY p.due_at, p.part_id LIMIT 1 FOR UPDATE OF p SKIP LOCKED
        """,
        at,
        cycle_of(now),
    )
    return None if row is None else WaitingPart(**row, claimed_at=at)


async def keep_look(db: Connection, looked: Looked) -> None:
    await db.execute(
        "UPDATE part SET status = $3, due_at = $4, notified_month = $5 WHERE account_id = $1 AND part_id = $2",
        looked.change.account_id,
        looked.change.part_id,
        looked.change.after,
        looked.due_at,
        looked.notified_month,
    )


async def wake_waiting(db: Connection, legal_entities: Sequence[str]) -> None:
    """All parts of these sellers that wait look at once. One that somebody has just now looks later by itself."""
    await db.execute(
        """
        UPDATE part p SET due_at = 'epoch' FROM (
            SELECT account_id, part_id FROM part
            WHERE status = 'waiting_quota' AND legal_entity = ANY ($1::text[]) FOR UPDATE SKIP LOCKED
        ) waiting
        WHERE p.account_id = waiting.account_id AND p.part_id = waiting.part_id
        """,
        list(legal_entities),
    )


async def set_aside(part: WaitingPart, db: Connection, until: datetime) -> None:
    await db.execute(
        "UPDATE part SET due_at = $3 WHERE account_id = $1 AND part_id = $2", part.account_id, part.part_id, until
    )
