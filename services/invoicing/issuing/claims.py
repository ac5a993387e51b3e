"""A worker takes a part: leased, with the call that follows on record, and with quota for what is to be submitted."""

from dataclasses import replace
from datetime import datetime

from asyncpg import Connection

from services.invoicing.issuing import rules, store
from services.invoicing.issuing.rules import QUEUED, SUBMITTING, ClaimedPart, DuePart
from services.invoicing.quotas import store as quotas
from services.invoicing.requests import store as requests
from services.invoicing.submissions import store as submissions
from services.invoicing.submissions.rules import taken
from shared.domain.calendar import cycle_of


async def claim_due(db: Connection, at: datetime, now: datetime) -> ClaimedPart | None:
    """The next part that is due, unless its quota has just been used up by another."""
    month = cycle_of(now)
    due = await store.due_part(db, at, now)
    if due is None or not await _counted(db, due, month):
        return None
    part = taken(due, rules.step_of(await _with_the_latest_wish(db, due)))
    status = rules.status_once_claimed(due)
    await submissions.take(
        db, store.PARTS, part, at, {"status": status, "quota_month": month if status == SUBMITTING else None}
    )
    if history := rules.history(due, due.status, status):
        await store.add_history(db, history, at)
    return part


async def _counted(db: Connection, due: DuePart, month: str) -> bool:
    """Whether it may go out: one that is queued holds its net amount of the seller's quota from here on."""
    if due.status == QUEUED:
        return await quotas.hold(db, due.legal_entity, month, due.net_fen)
    if changes := rules.carried_over(due, month):
        await quotas.count(db, changes)
    return True


async def _with_the_latest_wish(db: Connection, due: DuePart) -> DuePart:
    """Looked up by a statement of its own: a wish to cancel may have come while the part was waited for."""
    if not due.goes_out_again:
        return due
    return replace(due, cancel_wished=await requests.is_cancel_wished(db, due.account_id, due.request_id))
