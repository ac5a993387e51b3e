"""Credit notes: who may ask for one, and what the platform's answers make of it (R-14). Full reversals only (D-26).

The blue invoice stays what it is, an issued document; it is shown as crediting while a credit note of it lives, and as credited once
the red invoice exists. Only then is the amount free again. A form that dies leaves everything as it was before.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from services.invoicing.issuing.rules import (
    PART_FACT,
    POLL_SECONDS,
    QUARANTINED,
    Change,
    Submission,
    after_pause,
)
from services.invoicing.issuing.rules import decide as decide_submission
from services.invoicing.requests.rules import Refused
from services.invoicing.tax_platforms.port import Answer, FormTold, NotFound
from shared.contracts.invoicing import (
    CreditNoteFailed,
    CreditNoteRequested,
    InvoiceCredited,
    InvoiceKind,
    RedFormWaits,
    RedReason,
)
from shared.contracts.message import Message
from shared.domain.red_form import hours_left, reminder_of
from shared.domain.remark import check_remark

REQUESTED, FORM_PENDING, ISSUED, FAILED = "requested", "form_pending", "issued", "failed"
MAY_BE_ISSUED = (REQUESTED, FORM_PENDING, FAILED)
NEXT_STATUS: dict[tuple[str, str], str] = {
    (REQUESTED, "form"): FORM_PENDING,
    (FORM_PENDING, "form"): FORM_PENDING,
    **{(status, event): status for status in (REQUESTED, FORM_PENDING) for event in ("unsettled", "short")},
    **{(status, event): FAILED for status in (REQUESTED, FORM_PENDING) for event in ("failed", "cancelled")},
    **{(status, "issued"): ISSUED for status in MAY_BE_ISSUED},
    **{(status, "differs"): QUARANTINED for status in MAY_BE_ISSUED},
}
"""What isn't here changes nothing."""

AWAITS_BUYER = "02"
DEAD_FORMS = {
    "05": "the buyer refused the red confirmation form",
    "06": "the seller refused the red confirmation form",
    "07": "the red confirmation form was not confirmed within 72 hours",
    "08": "the red confirmation form was withdrawn by who entered it",
    "09": "the red confirmation form was withdrawn after it was confirmed",
    "10": "the tax bureau holds the invoice for abnormal",
    "11": "the taxpayer's status at the tax bureau does not allow it",
    "12": "the natural person refused the red confirmation form",
    "13": "an export refund form was issued for the invoice",
}
"""Any other state is waited for, also one that nobody has heard of."""


@dataclass(frozen=True)
class CreditAsk:
    """A customer's wish. `recorded`: the buyer has booked the invoice; `form_number` is then the form the buyer has entered."""

    account_id: int
    idempotency_key: str
    number: str
    reason: RedReason = "issued_in_error"
    recorded: bool = False
    form_number: str = ""
    remark: str = ""

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class FirstCredit:
    """What an idempotency key was first used for."""

    credit_note_id: int
    digest: bytes


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
class TakenCredit:
    """The credit note that stands for what was asked: a new one, or the first one under the same key."""

    credit_note_id: int


@dataclass(frozen=True)
class NewCredit:
    credit_note_id: int
    part_id: int
    ask: CreditAsk


@dataclass(frozen=True)
class CreditDecision:
    answer: TakenCredit | Refused
    new: tuple[NewCredit, ...] = ()
    messages: tuple[Message, ...] = ()


def decide_ask(
    ask: CreditAsk, credit_note_id: int, first: FirstCredit | None, invoice: Invoice | None
) -> CreditDecision:
    """Repeat the first answer, refuse, or take it."""
    if first is not None:
        return CreditDecision(
            TakenCredit(first.credit_note_id) if first.digest == ask.digest else _conflict(ask, first)
        )
    if invoice is None:
        text = f"This account has no invoice {ask.number}; list them first."
        return CreditDecision(Refused("NOT_FOUND", text, {"number": ask.number}))
    refused = check(ask, invoice)
    if refused is not None:
        return CreditDecision(refused)
    requested = CreditNoteRequested(
        account_id=ask.account_id,
        request_id=invoice.request_id,
        credit_note_id=credit_note_id,
        part_id=invoice.part_id,
        number=ask.number,
        gross_fen=invoice.gross_fen,
        reason=ask.reason,
    )
    return CreditDecision(TakenCredit(credit_note_id), (NewCredit(credit_note_id, invoice.part_id, ask),), (requested,))


def check(ask: CreditAsk, invoice: Invoice) -> Refused | None:
    """The first thing that stands against it, or None. What the tax bureau says against it comes later."""
    if invoice.account_status == "closed":
        text = "The account is closed; documents of the past can still be downloaded."
        return Refused("ACCOUNT_CLOSED", text, {"account_id": ask.account_id})
    if invoice.credit == ISSUED:
        text = f"Invoice {ask.number} is credited already; its amount can be invoiced again."
        return Refused("ALREADY_CREDITED", text, {"number": ask.number})
    if QUARANTINED in (invoice.credit, invoice.status):
        text = f"Invoice {ask.number} or its red invoice differs from what was asked for; an operator has to look at it first."
        return Refused("NOT_CREDITABLE", text, {"number": ask.number})
    if invoice.credit is not None:
        text = f"A credit note of invoice {ask.number} is under way; wait for its end."
        return Refused("ALREADY_CREDITING", text, {"number": ask.number, "credit_status": invoice.credit})
    if invoice.kind == "special" and ask.recorded and not ask.form_number:
        text = (
            "The buyer has booked this special invoice: have the buyer enter a red confirmation form for its full amount in the e-tax "
            "bureau, and name the form's number in `red_form_number`."
        )
        return Refused("RED_FORM_NUMBER_REQUIRED", text, {"number": ask.number})
    for finding in check_remark(ask.remark):
        return Refused(finding.code, finding.text, {"value": finding.value})
    return None


def _conflict(ask: CreditAsk, first: FirstCredit) -> Refused:
    text = "This Idempotency-Key was used for another credit note; repeat that one unchanged, or take a new key."
    values = {"idempotency_key": ask.idempotency_key, "credit_note_id": first.credit_note_id}
    return Refused("IDEMPOTENCY_CONFLICT", text, values)


@dataclass(frozen=True, kw_only=True)
class ClaimedCredit(Submission):
    """A credit note. The amounts are those of the red invoice, negative; shares and lines those of the blue one.

    `earlier_form` is that of the last credit note of the same invoice, which is void: the platform goes on telling of it until it
    has taken the new order under the same serial. `looked_at` and `waits_since` are business time.
    """

    credit_note_id: int
    blue_number: str
    blue_issued_at: datetime
    red_reason: RedReason
    remark: str
    wanted_form: str
    earlier_form: str | None
    form_number: str | None
    waits_since: datetime | None
    hours_told: int | None
    looked_at: datetime


@dataclass(frozen=True)
class CreditChange:
    """What an answer changes; of a form that was told, its number and state, and since when it waits for the buyer.

    `hours_left` is what is left of the form's 72 hours, if it is time for a reminder; `hours_told` the last reminder.
    """

    change: Change
    form: FormTold | None = None
    waits_since: datetime | None = None
    hours_told: int | None = None
    hours_left: int | None = None


def decide(credit: ClaimedCredit, answer: Answer) -> CreditChange:
    """From the platform's answer to what becomes of the credit note."""
    match answer:
        case FormTold(number=number, state=state) if number == credit.earlier_form and state in DEAD_FORMS:
            return CreditChange(decide_submission(credit, NotFound()))
        case FormTold(state=state) if state in DEAD_FORMS:
            return CreditChange(Change("failed", reason=f"RED_FORM_{state}", text=DEAD_FORMS[state]), answer)
        case FormTold(state=state):
            change = Change("form", due_at=after_pause(credit, POLL_SECONDS, credit.tries))
            return _waiting(credit, change, answer)
        case _:
            return CreditChange(decide_submission(credit, answer), None, credit.waits_since, credit.hours_told)


def _waiting(credit: ClaimedCredit, change: Change, form: FormTold) -> CreditChange:
    """For the buyer, whose 72 hours run since the form was first seen to wait; or for the seller, or the platform."""
    if form.state != AWAITS_BUYER:
        return CreditChange(change, form)
    same = form.number == credit.form_number
    since = (credit.waits_since if same else None) or credit.looked_at
    left = hours_left(since, credit.looked_at)
    due = reminder_of(left)
    told = credit.hours_told if same else None
    return CreditChange(change, form, since, due, left if due != told else None)


def facts_of(credit: ClaimedCredit, made: CreditChange, status: str | None) -> list[Message]:
    """What the world is told."""
    change = made.change
    common = {
        "account_id": credit.account_id,
        "request_id": credit.request_id,
        "credit_note_id": credit.credit_note_id,
        "part_id": credit.part_id,
        "number": credit.blue_number,
        "gross_fen": -credit.gross_fen,
    }
    match status:
        case "issued":
            blue = {name: getattr(credit, name) for name in PART_FACT} | _figures(credit)
            red = {"red_number": change.number, "credited_at": change.issued_at, "specimen": change.specimen}
            return [InvoiceCredited.model_validate(blue | {"number": credit.blue_number} | red)]
        case "failed":
            form = None if made.form is None else made.form.number
            why = {"reason": change.reason, "text": change.text or "", "form_number": form}
            return [CreditNoteFailed.model_validate(common | why)]
        case "form_pending" if made.form is not None and made.hours_left is not None:
            waits = {"form_number": made.form.number, "hours_left": made.hours_left}
            return [RedFormWaits.model_validate(common | waits)]
        case _:
            return []


def _figures(credit: ClaimedCredit) -> dict[str, int]:
    return {"gross_fen": -credit.gross_fen, "net_fen": -credit.net_fen, "tax_fen": -credit.tax_fen}
