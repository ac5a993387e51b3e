"""The life of a request: what the ledger's word, a wish to cancel and the rest of its parts make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.invoicing.accounts.refusals import Refused
from services.invoicing.submissions.rules import FAILED, ISSUED, QUARANTINED, RESTING, VOIDED
from shared.contracts.invoicing import InvoiceKind, RequestClosed, RequestRefused
from shared.contracts.ledger import ReservationImpaired, ReservationRefused
from shared.contracts.message import Message
from shared.domain.refusals import Refusal


def refused(fact: ReservationRefused, news: bool) -> list[Message]:
    common = {"account_id": fact.account_id, "request_id": fact.request_id}
    return [RequestRefused.model_validate(common | {"reason": fact.reason, "detail": fact.detail})] if news else []


@dataclass(frozen=True)
class Started:
    """A request the ledger has just reserved for: invoicing, or offset_only, or voided if it was cancelled meanwhile."""

    kind: InvoiceKind
    status: str
    consolidate: bool
    one_invoice_per_month: bool


@dataclass(frozen=True)
class Resting:
    """A part as its request sees it."""

    status: str
    number: str | None
    reason: str | None


@dataclass(frozen=True)
class CancelIntent:
    """A wish: of the customer, or of the ledger when a refund affects what is held (R-8)."""

    account_id: int
    request_id: int
    reason: str = Refusal.CANCELLED


def impaired(fact: ReservationImpaired) -> CancelIntent:
    return CancelIntent(fact.account_id, fact.request_id, Refusal.REFUND_BEFORE_ISSUE)


def cancel_outcome(wished: bool, status: str) -> str | None:
    """What became of the wish: issue beats cancel."""
    if not wished:
        return None
    return {"voided": "done", "invoiced": "refused_already_issued", "partly_issued": "refused_already_issued"}.get(
        status, "pending" if status in ("reserving", "invoicing") else status
    )


def cancelled(intent: CancelIntent, status: str | None, parts: Sequence[Resting]) -> str | Refused:
    """What a wish to cancel comes to: voided at once, or up to the ledger's or the platform's answer (R-8, D-23)."""
    request_id = intent.request_id
    if status is None:
        worded = {"what": "request", "value": str(request_id)}
        return Refused(Refusal.NOT_FOUND, {"request_id": request_id}, worded)
    if status in ("invoiced", "partly_issued"):
        return Refused(Refusal.ALREADY_ISSUED, {"request_id": request_id, "request_status": status})
    if status in ("offset_only", "failed", "refused"):
        return Refused(Refusal.NOT_CANCELLABLE, {"request_id": request_id, "request_status": status})
    return "voided" if status == "voided" or {part.status for part in parts} == {VOIDED} else "cancelling"


@dataclass(frozen=True)
class Closing:
    """How a request ends."""

    account_id: int
    request_id: int
    status: str
    reason: str | None
    numbers: tuple[str, ...]

    @property
    def message(self) -> RequestClosed:
        names = ("account_id", "request_id", "status", "numbers")
        return RequestClosed.model_validate({name: getattr(self, name) for name in names})


def closing(account_id: int, request_id: int, parts: Sequence[Resting]) -> tuple[Closing, ...]:
    """The end of a request once all its parts rest; nothing while one does not."""
    statuses = {part.status for part in parts}
    if not statuses or not statuses <= RESTING:
        return ()
    reason = next((part.reason for part in parts if part.reason is not None), None)
    numbers = tuple(part.number for part in parts if part.number is not None)
    return (Closing(account_id, request_id, _end_of(statuses), reason, numbers),)


def _end_of(statuses: set[str]) -> str:
    invoices = {ISSUED, QUARANTINED}
    if statuses & invoices:
        return "invoiced" if statuses <= invoices else "partly_issued"
    return FAILED if FAILED in statuses else VOIDED
