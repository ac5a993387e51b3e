"""A part is taken by a worker: leased, with the attempt row of the call that follows, and with quota for what is to be submitted."""

import json
from datetime import datetime, timedelta

from asyncpg import Connection, Record

from services.invoicing.issuing.history import tell_history
from services.invoicing.issuing.rules import LEASE_SECONDS, NEXT_STATUS, QUEUED, SUBMITTING, Claimed
from services.invoicing.quotas import store as quotas
from shared.contracts.invoicing import Share
from shared.domain.calendar import cycle_of

CLAIMED = """p.account_id, p.part_id, p.request_id, p.reservation_id, p.subject, p.legal_entity, p.content, p.tax_percent, p.kind,
    p.gross_fen, p.net_fen, p.tax_fen, p.shares, p.lines, p.serial, p.tries, p.unheard, p.epoch, p.reason, p.text, p.traceparent,
    r.cancel_reason, r.title, r.remark, (SELECT k.wrapped_key FROM sealing_key k WHERE k.account_id = p.account_id) AS wrapped_key"""


STEP = """CASE WHEN r.cancel_wished AND p.status = 'submitting' AND p.next_step = 'query' AND NOT p.cancel_heard AND NOT EXISTS (
        SELECT FROM attempt a WHERE a.account_id = p.account_id AND a.part_id = p.part_id AND a.attempt_no = p.tries
            AND a.step = 'cancel') THEN 'cancel' ELSE p.next_step END"""
"""A wish to cancel goes out until the platform has heard it, and after each try it is asked what became of the part."""


async def claim_due(db: Connection, at: datetime, now: datetime) -> Claimed | None:
    """Take one due part: lease, epoch, and the attempt row of the call that follows. From here on the next step is a query.

    One that is queued holds its net amount of the seller's quota from here on; what is too much is not taken, and told to wait.
    """
    month = cycle_of(now)
    row = await db.fetchrow(
        f"""
        SELECT {CLAIMED}, {STEP} AS step, p.status, p.quota_month FROM part p JOIN request r USING (account_id, request_id)
        WHERE (p.status = 'submitting' OR p.recheck OR (p.status = 'queued' AND NOT {quotas.TOO_MUCH})) AND p.due_at <= $1
            AND (p.lease_until IS NULL OR p.lease_until < $1)
        ORDER BY p.due_at, p.account_id, p.part_id LIMIT 1 FOR UPDATE OF p SKIP LOCKED
        """,
        at,
        month,
    )
    if row is None or not await _counted(db, row, month):
        return None
    return await _taken(db, row, await _step(db, row), at, now)


async def _counted(db: Connection, row: Record, month: str) -> bool:
    """What is with the platform when a month begins will be issued in it, and counts there, whatever is left (D-39)."""
    if row["status"] == QUEUED:
        return await quotas.hold(db, row["legal_entity"], month, row["net_fen"])
    if row["status"] == SUBMITTING and row["quota_month"] != month:
        before = {} if row["quota_month"] is None else {row["quota_month"]: -row["net_fen"]}
        await quotas.count(db, row["legal_entity"], before | {month: row["net_fen"]}, {})
    return True


async def _step(db: Connection, row: Record) -> str:
    """What the platform does not know is not submitted again once it shall be cancelled: it is asked for once more.

    Looked up by a statement of its own: the wish may have come while the part was waited for.
    """
    step: str = row["step"]
    if (row["status"], step) != (SUBMITTING, "submit"):
        return step
    wished = await db.fetchval(
        "SELECT cancel_wished FROM request WHERE account_id = $1 AND request_id = $2",
        row["account_id"],
        row["request_id"],
    )
    return "query" if wished else step


async def _taken(db: Connection, row: Record, step: str, at: datetime, now: datetime) -> Claimed:
    status = NEXT_STATUS.get((row["status"], "claimed"), row["status"])
    await db.execute(
        """
        UPDATE part SET status = $3, next_step = 'query', tries = tries + 1, epoch = epoch + 1, lease_until = $4, quota_month = $5
        WHERE account_id = $1 AND part_id = $2
        """,
        row["account_id"],
        row["part_id"],
        status,
        at + timedelta(seconds=LEASE_SECONDS),
        cycle_of(now) if status == SUBMITTING else None,
    )
    await db.execute(
        "INSERT INTO attempt (account_id, part_id, attempt_no, serial, step, at) VALUES ($1, $2, $3, $4, $5, $6)",
        row["account_id"],
        row["part_id"],
        row["tries"] + 1,
        row["serial"],
        step,
        at,
    )
    await tell_history(db, row["account_id"], row["part_id"], row["status"], status, at)
    return claimed(row, step, at, now, taken=1)


def claimed(row: Record, step: str, at: datetime, now: datetime, taken: int = 0) -> Claimed:
    values = {
        name: value
        for name, value in row.items()
        if name not in {"shares", "lines", "title", "step", "tries", "epoch", "status", "quota_month", "before"}
    }
    return Claimed(
        **values,
        shares=tuple(Share(**share) for share in json.loads(row["shares"])),
        lines=tuple(json.loads(row["lines"])),
        title=json.loads(row["title"]),
        step=step,
        tries=row["tries"] + taken,
        epoch=row["epoch"] + taken,
        claimed_at=at,
        printed_at=now,
    )
