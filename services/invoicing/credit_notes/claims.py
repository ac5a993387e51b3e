"""A worker takes a credit note: leased, with the call that follows on record."""

from datetime import datetime

from asyncpg import Connection

from services.invoicing.credit_notes import store
from services.invoicing.credit_notes.rules import ClaimedCreditNote
from services.invoicing.submissions import store as submissions
from services.invoicing.submissions.rules import taken


async def claim_due(db: Connection, at: datetime, now: datetime) -> ClaimedCreditNote | None:
    due = await store.due_credit_note(db, at, now)
    if due is None:
        return None
    note = taken(due, due.step)
    await submissions.take(db, store.CREDIT_NOTES, note, at)
    return note
