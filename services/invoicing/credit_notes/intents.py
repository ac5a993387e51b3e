"""Who may ask for a credit note of which invoice. What the tax bureau says against it comes later (R-14)."""

from dataclasses import asdict, dataclass

from services.invoicing.accounts.refusals import Refused, refused_remark
from services.invoicing.idempotency.rules import FirstUse, IdempotencyKey, UsedKey, digest_of
from services.invoicing.submissions.rules import ISSUED, QUARANTINED
from shared.contracts.invoicing import CreditNoteRequested, InvoiceKind, RedReason
from shared.contracts.message import Message
from shared.domain.identifiers import serial_of
from shared.domain.refusals import Refusal

OPERATION = "credit-note"


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
    erased: bool = False
    """Nobody can read any more who its buyer was, or soon nobody can."""


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


def decide(
    intent: CreditNoteIntent, credit_note_id: int, first: FirstUse | None, invoice: Invoice | None
) -> CreditNoteDecision:
    """Repeat the first answer, refuse, or accept it."""
    if first is not None:
        return CreditNoteDecision(
            AcceptedCreditNote(first.made_id) if first.digest == intent.key.digest else _conflict(intent, first)
        )
    if invoice is None:
        worded = {"what": "invoice", "value": intent.number}
        return CreditNoteDecision(Refused(Refusal.NOT_FOUND, {"number": intent.number}, worded))
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
    """The first thing that stands against it, or None."""
    number = intent.number
    if invoice.account_status == "closed":
        return Refused(Refusal.ACCOUNT_CLOSED, {"account_id": intent.account_id})
    if invoice.erased:
        return Refused(Refusal.ACCOUNT_DATA_ERASED)
    if invoice.credit == ISSUED:
        return Refused(Refusal.ALREADY_CREDITED, {"number": number})
    if QUARANTINED in (invoice.credit, invoice.status):
        return Refused(Refusal.NOT_CREDITABLE, {"number": number})
    if invoice.credit is not None:
        return Refused(Refusal.ALREADY_CREDITING, {"number": number, "credit_status": invoice.credit})
    if invoice.kind == "special" and intent.recorded and not intent.form_number:
        return Refused(Refusal.RED_FORM_NUMBER_REQUIRED, {"number": number})
    return refused_remark(intent.remark)


def _conflict(intent: CreditNoteIntent, first: FirstUse) -> Refused:
    values = {"idempotency_key": intent.idempotency_key, "credit_note_id": first.made_id}
    return Refused(Refusal.IDEMPOTENCY_CONFLICT, values)
