"""What may be asked for, and by whom: checks before anything is stored. The order of the checks is fixed."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.contracts.invoicing import InvoiceKind, InvoiceRequested, Method, RequestRefused
from shared.contracts.ledger import OffsetDeficit, ReservationImpaired, ReservationRefused, ReserveBalance
from shared.contracts.message import Message
from shared.domain.credit_code import is_valid_credit_code
from shared.domain.remark import check_remark

SPECIAL_NEEDS = ("bank_name", "bank_account", "registered_address", "registered_phone", "tax_id")
PRINTED = {"address": "registered_address", "phone": "registered_phone"}
"""Fields of a title whose printed name differs from the one they travel under."""
OPERATION = "invoice-request"
REFUND_BEFORE_ISSUE = "REFUND_BEFORE_ISSUE"
SEALED = "sealed."
SAID_IF_MEANT = ("pays_deficit", "products", "members", "consolidate", "one_invoice_per_month")
"""What requests could not say once: unsaid, it leaves their digest as it was."""
MANAGES, FORBIDS, POOLS = "MANAGE_TARGET_INVOICE", "FORBID_MANAGE_INVOICE", "OFFSET_MEMBER_DEFICITS"
Unseal = Callable[[str, str], str]
"""From a wrapped key and a sealed value to the text."""


@dataclass(frozen=True)
class Ask:
    """What a customer asks for. Documents by `numbers`, whole months by `cycles`, or a sum, oldest first."""

    account_id: int
    idempotency_key: str
    numbers: tuple[str, ...] = ()
    cycles: tuple[str, ...] = ()
    subject: str | None = None
    amount_fen: int | None = None
    kind: InvoiceKind | None = None
    remark: str = ""
    pays_deficit: bool = False
    """Not to invoice, but to pay a deficit of the subject with what is selected."""
    products: tuple[str, ...] = ()
    members: tuple[int, ...] = ()
    """Accounts whose documents are meant; none: the asking account's own."""
    consolidate: bool = False
    one_invoice_per_month: bool = False

    @property
    def accounts(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.members))) or (self.account_id,)

    @property
    def method(self) -> Method:
        if self.pays_deficit:
            return "offset"
        if self.amount_fen is not None:
            return "by_amount"
        return "by_monthly_bill" if self.cycles else "by_order"

    @property
    def digest(self) -> bytes:
        """Of everything that was asked: the same key with another digest is a conflict (R-9)."""
        said = {name: value for name, value in asdict(self).items() if name not in SAID_IF_MEANT or value}
        return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Cancel:
    """A wish: of the customer, or of the ledger when a refund hit what is held (R-8)."""

    account_id: int
    request_id: int
    reason: str = "CANCELLED"


@dataclass(frozen=True)
class First:
    """What an idempotency key was first used for."""

    request_id: int
    digest: bytes


@dataclass(frozen=True)
class Applicant:
    """An account that asks; `title` is its active title with the personal fields sealed.

    `members` are the accounts it manages, with its permissions; `granted` is what others may do who manage it.
    """

    status: str | None
    wrapped_key: str | None
    title: dict[str, Any] | None
    members: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()

    def pooled(self, ask: Ask) -> tuple[int, ...]:
        """Of the accounts asked for those that may pay each other's deficits (D-20)."""
        return tuple(one for one in ask.accounts if one == ask.account_id or POOLS in self.members.get(one, ()))


@dataclass(frozen=True)
class Title:
    """A title as it will be printed. The names of missing fields are those of the title page."""

    title_id: int
    version: int
    kind: str
    name: str
    tax_id: str | None = None
    registered_address: str | None = None
    registered_phone: str | None = None
    bank_name: str | None = None
    bank_account: str | None = None


@dataclass(frozen=True)
class Refused:
    """The system refuses: a stable code, what was wrong and what to do, and the values behind it."""

    code: str
    text: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """The request that stands for what was asked: a new one, or the first one under the same key."""

    request_id: int


@dataclass(frozen=True)
class NewRequest:
    """A request to store. `title` is the sealed snapshot."""

    request_id: int
    ask: Ask
    kind: InvoiceKind
    title: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    answer: Taken | Refused
    new: tuple[NewRequest, ...] = ()
    messages: tuple[Message, ...] = ()


def decide(ask: Ask, request_id: int, first: First | None, applicant: Applicant, unseal: Unseal) -> Decision:
    """Repeat the first answer, refuse, or take the request and have its balance reserved."""
    if first is not None:
        return Decision(Taken(first.request_id) if first.digest == ask.digest else _conflict(ask, first))
    if ask.pays_deficit:
        return _pay_deficit(ask, request_id, applicant)
    title = None if applicant.title is None else unsealed(applicant.title, applicant.wrapped_key, unseal)
    refused = check(ask, applicant, title)
    if refused is not None or applicant.title is None:
        return Decision(refused or Refused("NO_ACTIVE_TITLE", "", {}))
    kind: InvoiceKind = ask.kind or "general"
    common = {"account_id": ask.account_id, "request_id": request_id}
    return Decision(
        Taken(request_id),
        (NewRequest(request_id, ask, kind, applicant.title),),
        (
            InvoiceRequested.model_validate(
                common | {"method": ask.method, "kind": kind, "amount_fen": ask.amount_fen}
            ),
            ReserveBalance.model_validate(common | _selection(ask, applicant)),
        ),
    )


def _selection(ask: Ask, applicant: Applicant) -> dict[str, Any]:
    documents = {"numbers": ask.numbers, "cycles": ask.cycles, "products": ask.products, "subject": ask.subject}
    return documents | {"amount_fen": ask.amount_fen, "accounts": ask.accounts, "pooled": applicant.pooled(ask)}


def _pay_deficit(ask: Ask, request_id: int, applicant: Applicant) -> Decision:
    """Nothing is printed, so no title is needed."""
    refused = _check_accounts(ask, applicant)
    if refused is not None:
        return Decision(refused)
    common = {"account_id": ask.account_id, "request_id": request_id}
    new = NewRequest(request_id, ask, "general", {})
    return Decision(Taken(request_id), (new,), (OffsetDeficit.model_validate(common | _selection(ask, applicant)),))


def _account_closed() -> Refused:
    return Refused("ACCOUNT_CLOSED", "The account is closed; documents of the past can still be downloaded.", {})


def unsealed(title: dict[str, Any], wrapped_key: str | None, unseal: Unseal) -> Title:
    """A sealed title made readable, with the names its fields are printed under."""
    plain: dict[str, Any] = {
        PRINTED.get(name, name): unseal(wrapped_key or "", value) if str(value).startswith(SEALED) else value
        for name, value in title.items()
    }
    return Title(**plain)


def _conflict(ask: Ask, first: First) -> Refused:
    text = "This Idempotency-Key was used for another request; repeat that one unchanged, or take a new key."
    return Refused(
        "IDEMPOTENCY_CONFLICT", text, {"idempotency_key": ask.idempotency_key, "request_id": first.request_id}
    )


def refused(fact: ReservationRefused, news: bool) -> list[Message]:
    common = {"account_id": fact.account_id, "request_id": fact.request_id}
    return [RequestRefused.model_validate(common | {"reason": fact.reason, "detail": fact.detail})] if news else []


def impaired(fact: ReservationImpaired) -> Cancel:
    return Cancel(fact.account_id, fact.request_id, REFUND_BEFORE_ISSUE)


def cancel_outcome(wished: bool, status: str) -> str | None:
    """What became of the wish: issue beats cancel."""
    if not wished:
        return None
    return {"voided": "done", "invoiced": "refused_already_issued", "partly_issued": "refused_already_issued"}.get(
        status, "pending" if status in ("reserving", "invoicing") else status
    )


def cancelled(ask: Cancel, status: str | None, parts: Sequence[str]) -> str | Refused:
    """What a wish to cancel comes to: voided at once, or up to the ledger's or the platform's answer (R-8, D-23)."""
    if status is None:
        return Refused("NOT_FOUND", "There is no such request of this account.", {"request_id": ask.request_id})
    if status == "offset_only":
        text = "All of the selection has paid a deficit; there is no invoice to cancel."
        return Refused("NOT_CANCELLABLE", text, {"request_id": ask.request_id, "request_status": status})
    if status in ("invoiced", "partly_issued"):
        text = "The invoice is issued. Ask for a credit note instead."
        return Refused("ALREADY_ISSUED", text, {"request_id": ask.request_id, "request_status": status})
    if status in ("failed", "refused"):
        return Refused(
            "NOT_CANCELLABLE",
            "The request has ended already.",
            {"request_id": ask.request_id, "request_status": status},
        )
    return "voided" if status == "voided" or (parts and set(parts) == {"voided"}) else "cancelling"


def check(ask: Ask, applicant: Applicant, title: Title | None) -> Refused | None:
    """The first thing that stands against the request, or None. What is left of the balance is the ledger's to say."""
    refused = _check_accounts(ask, applicant)
    if refused is not None:
        return refused
    if not (ask.numbers or ask.cycles or ask.products or ask.amount_fen):
        text = "Name documents in `numbers`, months in `cycles`, `products`, or a sum in `amount_fen`."
        return Refused("NOTHING_SELECTED", text, {})
    if title is None:
        text = "The account has no active title. Finish the real-name registration or the pending title application."
        return Refused("NO_ACTIVE_TITLE", text, {})
    return _check_special(ask, title) or _check_tax_id(title) or _check_remark(ask)


def _check_accounts(ask: Ask, applicant: Applicant) -> Refused | None:
    """R-5: own documents unless that is forbidden; of members those that the relation lets be managed."""
    if applicant.status == "closed":
        return _account_closed()
    if ask.account_id in ask.accounts and FORBIDS in applicant.granted:
        text = "The account that manages this one has kept invoicing to itself. Ask there."
        return Refused("NO_INVOICE_PERMISSION", text, {"account_id": ask.account_id})
    for member in ask.accounts:
        if member != ask.account_id and MANAGES not in applicant.members.get(member, ()):
            text = f"Account {member} has not granted {MANAGES} to this one. Have the relation changed, or leave its documents out."
            return Refused("NO_INVOICE_PERMISSION", text, {"account_id": member})
    return None


def _check_special(ask: Ask, title: Title) -> Refused | None:
    if ask.kind != "special":
        return None
    if title.kind == "individual":
        text = "A natural person gets general invoices only; ask for `general`."
        return Refused("SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON", text, {"kind": "special"})
    missing = [name for name in SPECIAL_NEEDS if not getattr(title, name)]
    if missing:
        text = f"A special invoice needs {', '.join(missing)} in the title; complete it or ask for `general`."
        return Refused("TITLE_INCOMPLETE_FOR_SPECIAL", text, {"missing": missing})
    return None


def _check_tax_id(title: Title) -> Refused | None:
    if title.kind == "individual" or title.tax_id is None or is_valid_credit_code(title.tax_id):
        return None
    text = "The title's unified social credit code fails its check digit; correct it in the real-name registration."
    return Refused("BAD_TAX_ID", text, {"title_id": title.title_id})


def _check_remark(ask: Ask) -> Refused | None:
    for finding in check_remark(ask.remark):
        return Refused(finding.code, finding.text, {"value": finding.value})
    return None
