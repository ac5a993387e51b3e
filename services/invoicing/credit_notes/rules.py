"""Credit notes: who may ask for one, and what the platform's answers make of it (R-14). Full reversals only (D-26).

The blue invoice stays what it is, an issued document; it is shown as crediting while a credit note of it lives, and as credited once
the red invoice exists. Only then is the amount free again. A form that dies leaves everything as it was before.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from services.invoicing.accounts.refusals import Refused, refuse
from services.invoicing.idempotency.rules import FirstUse, IdempotencyKey, UsedKey, digest_of
from services.invoicing.invoice_files.rules import NewInvoiceFileJob, job_of
from services.invoicing.issuing.rules import PART_FACT
from services.invoicing.submissions import rules as submissions
from services.invoicing.submissions.rules import (
    FAILED,
    ISSUED,
    POLL_SECONDS,
    QUARANTINED,
    RESTING,
    Held,
    Ignored,
    Moved,
    NextStatus,
    Outcome,
    Pending,
    Submission,
    Unmoved,
    after_pause,
    settle,
)
from services.invoicing.tax_platforms.port import Answer, FormDied, FormState, FormTold, NotFound
from shared.contracts.invoicing import (
    CreditNoteFailed,
    CreditNoteRequested,
    InvoiceCredited,
    InvoiceKind,
    RedFormWaits,
    RedReason,
)
from shared.contracts.message import Message
from shared.domain.identifiers import serial_of
from shared.domain.red_form import hours_left, reminder_of
from shared.domain.remark import check_remark

OPERATION = "credit-note"
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


@dataclass(frozen=True)
class CreditNoteIntent:
    """A customer's wish. `recorded`: the buyer has recorded the invoice; `form_number` is then the form the buyer has entered."""

    account_id: int
    idempotency_key: str
    number: str
    reason: RedReason = "issued_in_error"
    recorded: bool = False
    form_number: str = ""
    remark: str = ""

    @property
    def key(self) -> IdempotencyKey:
        """With the digest of everything that is asked for."""
        return IdempotencyKey(self.account_id, OPERATION, self.idempotency_key, digest_of(asdict(self)))


@dataclass(frozen=True)
class Invoice:
    """An invoice to be credited, as far as it matters. `credit` is the status of its credit note that lives, if there is one."""

    part_id: int
    request_id: int
    kind: InvoiceKind
    gross_fen: int
    status: str
    credit: str | None
    account_status: str | None


@dataclass(frozen=True)
class AcceptedCreditNote:
    """The credit note that stands for what was asked: a new one, or the first one under the same key."""

    credit_note_id: int


@dataclass(frozen=True)
class NewCreditNote:
    credit_note_id: int
    part_id: int
    intent: CreditNoteIntent

    @property
    def serial(self) -> str:
        """The part's for good, however often it is tried: at most one red invoice ever comes of it."""
        return serial_of(self.part_id, "R", 1)


@dataclass(frozen=True)
class CreditNoteDecision:
    """The answer; and, if a credit note was accepted now, what is stored and said of it."""

    answer: AcceptedCreditNote | Refused
    used: tuple[UsedKey, ...] = ()
    new: tuple[NewCreditNote, ...] = ()
    messages: tuple[Message, ...] = ()


def decide_intent(
    intent: CreditNoteIntent, credit_note_id: int, first: FirstUse | None, invoice: Invoice | None
) -> CreditNoteDecision:
    """Repeat the first answer, refuse, or accept it."""
    if first is not None:
        return CreditNoteDecision(
            AcceptedCreditNote(first.made_id) if first.digest == intent.key.digest else _conflict(intent, first)
        )
    if invoice is None:
        return CreditNoteDecision(refuse("NOT_FOUND", "invoice", number=intent.number))
    refused = check(intent, invoice)
    if refused is not None:
        return CreditNoteDecision(refused)
    requested = CreditNoteRequested(
        account_id=intent.account_id,
        request_id=invoice.request_id,
        credit_note_id=credit_note_id,
        part_id=invoice.part_id,
        number=intent.number,
        gross_fen=invoice.gross_fen,
        reason=intent.reason,
    )
    new = NewCreditNote(credit_note_id, invoice.part_id, intent)
    used = UsedKey(intent.key, credit_note_id)
    return CreditNoteDecision(AcceptedCreditNote(credit_note_id), (used,), (new,), (requested,))


def check(intent: CreditNoteIntent, invoice: Invoice) -> Refused | None:
    """The first thing that stands against it, or None. What the tax bureau says against it comes later."""
    number = intent.number
    if invoice.account_status == "closed":
        return refuse("ACCOUNT_CLOSED", account_id=intent.account_id)
    if invoice.credit == ISSUED:
        return refuse("ALREADY_CREDITED", number=number)
    if QUARANTINED in (invoice.credit, invoice.status):
        return refuse("NOT_CREDITABLE", number=number)
    if invoice.credit is not None:
        return refuse("ALREADY_CREDITING", number=number, credit_status=invoice.credit)
    if invoice.kind == "special" and intent.recorded and not intent.form_number:
        return refuse("RED_FORM_NUMBER_REQUIRED", number=number)
    for finding in check_remark(intent.remark):
        return Refused(finding.code, finding.text, {"value": finding.value})
    return None


def _conflict(intent: CreditNoteIntent, first: FirstUse) -> Refused:
    return refuse(
        "IDEMPOTENCY_CONFLICT",
        "credit note",
        idempotency_key=intent.idempotency_key,
        credit_note_id=first.made_id,
    )


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
) -> Ignored | Unmoved | PendingCreditNote | MovedCreditNote:
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


def file_jobs(note: ClaimedCreditNote, moved: MovedCreditNote) -> tuple[NewInvoiceFileJob, ...]:
    """One that differs from what was asked for is not printed."""
    return (job_of(note, note.credit_note_id),) if moved.status == ISSUED else ()


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
