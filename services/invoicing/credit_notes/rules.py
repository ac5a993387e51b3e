"""The life of a credit note: what the platform's answers make of it (R-14). Full reversals only (D-26).

The blue invoice stays issued; it is shown as crediting while a credit note of it lives, and as credited once
the red invoice exists. Only then is the amount free again. A form that dies leaves everything as it was before.
"""

from dataclasses import dataclass
from datetime import datetime

from services.invoicing.issuing.rules import PART_FACT
from services.invoicing.submissions import rules as submissions
from services.invoicing.submissions.rules import (
    FAILED,
    ISSUED,
    POLL_SECONDS,
    QUARANTINED,
    RESTING,
    Held,
    Moved,
    NextStatus,
    Outcome,
    Pending,
    Settled,
    Submission,
    after_pause,
    settle,
)
from services.invoicing.tax_platforms.port import Answer, FormDied, FormState, FormTold, NotFound
from shared.contracts.invoicing import (
    CreditNoteFailed,
    InvoiceCredited,
    RedFormWaits,
    RedReason,
)
from shared.contracts.message import Message
from shared.domain.red_form import hours_left, reminder_of

REQUESTED, FORM_PENDING = "requested", "form_pending"
MAY_BE_ISSUED = (REQUESTED, FORM_PENDING, FAILED)
NEXT_STATUS: NextStatus = {
    (REQUESTED, "form"): FORM_PENDING,
    (FORM_PENDING, "form"): FORM_PENDING,
    (REQUESTED, "unsettled"): REQUESTED,
    (FORM_PENDING, "unsettled"): FORM_PENDING,
    (REQUESTED, "short"): REQUESTED,
    (FORM_PENDING, "short"): FORM_PENDING,
    (REQUESTED, "failed"): FAILED,
    (FORM_PENDING, "failed"): FAILED,
    (REQUESTED, "cancelled"): FAILED,
    (FORM_PENDING, "cancelled"): FAILED,
    **{(status, "issued"): ISSUED for status in MAY_BE_ISSUED},
    **{(status, "differs"): QUARANTINED for status in MAY_BE_ISSUED},
}


@dataclass(frozen=True, kw_only=True)
class ClaimedCreditNote(Submission):
    """A credit note in the hands of a worker. The amounts are those of the red invoice, negative; shares and lines those of the blue one.

    `earlier_form` is that of the last credit note of the same invoice, which is void: the platform goes on telling of it until it has
    accepted the new draft under the same serial. `looked_at` and `waits_since` are business time; `reminded_hours_left` is the last
    reminder of its form.
    """

    credit_note_id: int
    blue_number: str
    blue_issued_at: datetime
    red_reason: RedReason
    remark: str
    requested_form_number: str
    earlier_form: str | None
    form_number: str | None
    waits_since: datetime | None
    reminded_hours_left: int | None
    looked_at: datetime


@dataclass(frozen=True)
class CreditNoteOutcome(Outcome):
    """What an answer makes of a credit note: also of its form, if one was told, and since when it waits for the buyer.

    `hours_left` is what is left of the form's 72 hours, if it is time for a reminder.
    """

    form: FormTold | FormDied | None = None
    waits_since: datetime | None = None
    reminded_hours_left: int | None = None
    hours_left: int | None = None


def decide(note: ClaimedCreditNote, answer: Answer) -> CreditNoteOutcome:
    """From the platform's answer to what becomes of the credit note."""
    match answer:
        case FormDied(number=number) if number == note.earlier_form:
            return CreditNoteOutcome(**vars(submissions.decide(note, NotFound())))
        case FormDied(reason=reason, text=text):
            return CreditNoteOutcome("failed", reason=reason, text=text, form=answer)
        case FormTold():
            return _waiting(note, answer)
        case _:
            outcome = vars(submissions.decide(note, answer))
            return CreditNoteOutcome(
                **outcome, waits_since=note.waits_since, reminded_hours_left=note.reminded_hours_left
            )


def _waiting(note: ClaimedCreditNote, form: FormTold) -> CreditNoteOutcome:
    """For the buyer, whose 72 hours run since the form was first seen to wait; or for the seller, or the platform."""
    due_at = after_pause(note, POLL_SECONDS, note.tries)
    if form.state != FormState.AWAITS_BUYER:
        return CreditNoteOutcome("form", due_at=due_at, form=form)
    same = form.number == note.form_number
    since = (note.waits_since if same else None) or note.looked_at
    left = hours_left(since, note.looked_at)
    reminder = reminder_of(left)
    last = note.reminded_hours_left if same else None
    return CreditNoteOutcome(
        "form",
        due_at=due_at,
        form=form,
        waits_since=since,
        reminded_hours_left=reminder,
        hours_left=left if reminder != last else None,
    )


@dataclass(frozen=True)
class HeldCreditNote(Held):
    """The row of a credit note as it is when the answer comes. One that has a successor asks no more: they share the serial."""

    form_number: str | None = None
    form_state: str | None = None


PendingCreditNote = Pending[HeldCreditNote, CreditNoteOutcome]
MovedCreditNote = Moved[HeldCreditNote, CreditNoteOutcome]


def answered(
    note: ClaimedCreditNote, answer: Answer, held: HeldCreditNote
) -> Settled[HeldCreditNote, CreditNoteOutcome]:
    """What is written of an answer."""
    return settle(note, decide(note, answer), held, NEXT_STATUS)


def columns_of(note: PendingCreditNote, now: datetime) -> dict[str, object]:
    """Of a credit note alone: its form, the reminders of it, and when it ended."""
    form = note.outcome.form
    return {
        "form_number": note.held.form_number if form is None else form.number,
        "form_state": note.held.form_state if form is None else form.code,
        "waits_since": note.outcome.waits_since,
        "reminded_hours_left": note.outcome.reminded_hours_left,
        "ended_at": now if note.status in RESTING else None,
    }


def facts_of(note: ClaimedCreditNote, outcome: CreditNoteOutcome, status: str) -> list[Message]:
    """What the world is told."""
    common = {
        "account_id": note.account_id,
        "request_id": note.request_id,
        "credit_note_id": note.credit_note_id,
        "part_id": note.part_id,
        "number": note.blue_number,
        "gross_fen": -note.gross_fen,
    }
    form = outcome.form
    match status:
        case "issued":
            blue = {name: getattr(note, name) for name in PART_FACT} | _figures(note)
            red = {"red_number": outcome.number, "credited_at": outcome.issued_at, "specimen": outcome.specimen}
            return [InvoiceCredited.model_validate(blue | {"number": note.blue_number} | red)]
        case "failed":
            why = {"reason": outcome.reason, "text": outcome.text or "", "form_number": form and form.number}
            return [CreditNoteFailed.model_validate(common | why)]
        case "form_pending" if form is not None and outcome.hours_left is not None:
            waits = {"form_number": form.number, "hours_left": outcome.hours_left}
            return [RedFormWaits.model_validate(common | waits)]
        case _:
            return []


def _figures(note: ClaimedCreditNote) -> dict[str, int]:
    """Those of the blue invoice."""
    return {"gross_fen": -note.gross_fen, "net_fen": -note.net_fen, "tax_fen": -note.tax_fen}
