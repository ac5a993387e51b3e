"""What is done with credit notes: asked for, and answered by the platform. Load, decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from asyncpg import Connection

from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes import intents, rules, store
from services.invoicing.credit_notes.intents import AcceptedCreditNote, CreditNoteIntent
from services.invoicing.credit_notes.rules import ClaimedCreditNote, MovedCreditNote, PendingCreditNote
from services.invoicing.credit_notes.store import CREDIT_NOTES
from services.invoicing.idempotency import store as key_rows
from services.invoicing.invoice_files import store as file_rows
from services.invoicing.invoice_files.rules import job_of
from services.invoicing.issuing import store as part_rows
from services.invoicing.submissions import store as submission_rows
from services.invoicing.submissions.handlers import ignored, unmoved
from services.invoicing.submissions.rules import Completed, Ignored, Moved, Pending, Unmoved
from services.invoicing.tax_platforms.port import Answer
from shared.contracts.message import Message


async def request_credit_note(
    intent: CreditNoteIntent, db: Connection, now: datetime
) -> tuple[AcceptedCreditNote | Refused, list[Message]]:
    first = await key_rows.first_use(db, intent.key)
    part_id = await store.locked_part_id(db, intent)
    invoice = await store.invoice(db, intent.account_id, part_id)
    decision = intents.decide(intent, await store.next_id(db), first, invoice)
    await key_rows.keep(db, decision.used, now)
    await store.add(db, decision.new, now)
    return decision.answer, list(decision.messages)


async def credit_note_answered(note: ClaimedCreditNote, answer: Answer, db: Connection, now: datetime) -> list[Message]:
    await part_rows.lock(db, note.account_id, note.part_id)
    held = await store.held_credit_note(db, note)
    found = rules.answered(note, answer, held)
    return await SAVED[type(found)](note, found, db, now)


async def credit_note_pending(
    note: ClaimedCreditNote, pending: PendingCreditNote, db: Connection, now: datetime
) -> list[Message]:
    await submission_rows.write(db, CREDIT_NOTES, note, pending, rules.columns_of(pending, now))
    return rules.facts_of(note, pending.outcome, pending.status)


async def credit_note_moved(
    note: ClaimedCreditNote, moved: MovedCreditNote, db: Connection, now: datetime
) -> list[Message]:
    await submission_rows.write(db, CREDIT_NOTES, note, moved, rules.columns_of(moved, now))
    await store.notify_answered(db, note)
    return rules.facts_of(note, moved.outcome, moved.status)


async def credit_note_completed(
    note: ClaimedCreditNote, completed: MovedCreditNote, db: Connection, now: datetime
) -> list[Message]:
    await file_rows.add(db, [job_of(note, note.credit_note_id)])
    return await credit_note_moved(note, completed, db, now)


SAVED: dict[type, Callable[..., Awaitable[list[Message]]]] = {
    Ignored: ignored,
    Unmoved: partial(unmoved, table=CREDIT_NOTES),
    Pending: credit_note_pending,
    Moved: credit_note_moved,
    Completed: credit_note_completed,
}
