"""A part is taken by a worker: leased, with the attempt row of the call that follows, and with quota for what is submitted."""

import json
from datetime import datetime, timedelta

from asyncpg import Connection, Record

from services.invoicing.domain.parts import LEASE_SECONDS, NEXT_STATUS, Claimed
from services.invoicing.store import quotas
from services.invoicing.store.history import tell_history
from shared.contracts.invoicing import Share
from shared.domain.calendar import cycle_of

CLAIMED = """p.account_id, p.part_id, p.request_id, p.reservation_id, p.subject, p.legal_entity, p.content, p.tax_percent, p.kind,
    p.gross_fen, p.net_fen, p.tax_fen, p.shares, p.lines, p.serial, p.tries, p.epoch, p.reason, p.text, p.traceparent,
    r.cancel_reason, r.title, r.remark, (SELECT k.wrapped_key FROM sealing_key k WHERE k.account_id = p.account_id) AS wrapped_key"""


STEP = """CASE WHEN r.cancel_wished AND p.status = 'submitting' AND p.next_step = 'submit' THEN 'query'
    WHEN r.cancel_wished AND p.status = 'submitting' AND p.next_step = 'query' AND NOT p.cancel_heard AND NOT EXISTS (
        SELECT FROM attempt a WHERE a.account_id = p.account_id AND a.part_id = p.part_id AND a.attempt_no = p.tries
            AND a.step = 'cancel') THEN 'cancel' ELSE p.next_step END"""
"""A wish to cancel goes out until the platform has heard it, and after each try it is asked what became of the part. What it does
not know is not submitted again."""


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
    return claimed(row, at, now, taken=1)


def claimed(row: Record, at: datetime, now: datetime, taken: int = 0) -> Claimed:
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
