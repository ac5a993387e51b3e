"""What may be asked for, and by whom: checks before anything is stored. The order of the checks is fixed."""

from dataclasses import asdict, dataclass
from typing import Any

from services.invoicing.accounts.refusals import Refused, refused_remark
from services.invoicing.accounts.rules import Applicant, Title, Unseal, unsealed
from services.invoicing.idempotency.rules import FirstUse, IdempotencyKey, UsedKey, digest_of
from shared.contracts.invoicing import InvoiceKind, InvoiceRequested, Method
from shared.contracts.ledger import OffsetDeficit, ReserveBalance
from shared.contracts.message import Message
from shared.domain.credit_code import is_valid_credit_code
from shared.domain.refusals import Refusal

SPECIAL_NEEDS = ("bank_name", "bank_account", "registered_address", "registered_phone", "tax_id")
OPERATION = "invoice-request"
SAID_IF_MEANT = ("pays_deficit", "products", "members", "consolidate", "one_invoice_per_month")
"""What requests could not say once: unsaid, it leaves their digest as it was."""


@dataclass(frozen=True)
class InvoiceIntent:
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
    def key(self) -> IdempotencyKey:
        """With the digest of everything that is asked for."""
        said = {name: value for name, value in asdict(self).items() if name not in SAID_IF_MEANT or value}
        return IdempotencyKey(self.account_id, OPERATION, self.idempotency_key, digest_of(said))


@dataclass(frozen=True)
class AcceptedRequest:
    """The request that stands for what was asked: a new one, or the first one under the same key."""

    request_id: int


@dataclass(frozen=True)
class NewRequest:
    """A request to store. `title` is the sealed snapshot."""

    request_id: int
    intent: InvoiceIntent
    kind: InvoiceKind
    title: dict[str, Any]


@dataclass(frozen=True)
class RequestDecision:
    """The answer; and, if a request was accepted now, what is stored and said of it."""

    answer: AcceptedRequest | Refused
    used: tuple[UsedKey, ...] = ()
    new: tuple[NewRequest, ...] = ()
    messages: tuple[Message, ...] = ()


def decide(
    intent: InvoiceIntent, request_id: int, first: FirstUse | None, applicant: Applicant, unseal: Unseal
) -> RequestDecision:
    """Repeat the first answer, refuse, or accept the request and have its balance reserved."""
    if first is not None:
        return RequestDecision(
            AcceptedRequest(first.made_id) if first.digest == intent.key.digest else _conflict(intent, first)
        )
    if intent.pays_deficit:
        return _pay_deficit(intent, request_id, applicant)
    if applicant.erased:
        return RequestDecision(Refused(Refusal.ACCOUNT_DATA_ERASED))
    sealed = applicant.title
    title = None if sealed is None else unsealed(intent.account_id, sealed, unseal)
    refused = check(intent, applicant, title)
    if refused is not None:
        return RequestDecision(refused)
    assert applicant.title is not None
    kind: InvoiceKind = intent.kind or "general"
    common = {"account_id": intent.account_id, "request_id": request_id}
    requested = common | {"method": intent.method, "kind": kind, "amount_fen": intent.amount_fen}
    return _accepted(
        NewRequest(request_id, intent, kind, applicant.title),
        InvoiceRequested.model_validate(requested),
        ReserveBalance.model_validate(common | _selection(intent, applicant)),
    )


def _pay_deficit(intent: InvoiceIntent, request_id: int, applicant: Applicant) -> RequestDecision:
    """Nothing is printed, so no title is needed."""
    erased = Refused(Refusal.ACCOUNT_DATA_ERASED) if applicant.erased else None
    refused = erased or _check_accounts(intent, applicant)
    if refused is not None:
        return RequestDecision(refused)
    common = {"account_id": intent.account_id, "request_id": request_id}
    new = NewRequest(request_id, intent, "general", {})
    return _accepted(new, OffsetDeficit.model_validate(common | _selection(intent, applicant)))


def _accepted(new: NewRequest, *messages: Message) -> RequestDecision:
    return RequestDecision(
        AcceptedRequest(new.request_id), (UsedKey(new.intent.key, new.request_id),), (new,), messages
    )


def _selection(intent: InvoiceIntent, applicant: Applicant) -> dict[str, Any]:
    names = ("numbers", "cycles", "products", "subject", "amount_fen", "accounts")
    pooled = applicant.pooled(intent.account_id, intent.accounts)
    return {name: getattr(intent, name) for name in names} | {"pooled": pooled}


def _conflict(intent: InvoiceIntent, first: FirstUse) -> Refused:
    values = {"idempotency_key": intent.idempotency_key, "request_id": first.made_id}
    return Refused(Refusal.IDEMPOTENCY_CONFLICT, values)


def check(intent: InvoiceIntent, applicant: Applicant, title: Title | None) -> Refused | None:
    """The first thing that stands against the request, or None. What is left of the balance is the ledger's to say."""
    refused = _check_accounts(intent, applicant)
    if refused is not None:
        return refused
    if not (intent.numbers or intent.cycles or intent.products or intent.amount_fen):
        return Refused(Refusal.NOTHING_SELECTED)
    if title is None:
        return Refused(Refusal.NO_ACTIVE_TITLE)
    return _check_special(intent, title) or _check_tax_id(title) or refused_remark(intent.remark)


def _check_accounts(intent: InvoiceIntent, applicant: Applicant) -> Refused | None:
    """R-5: own documents unless that is forbidden; of members those that the relation lets be managed."""
    if applicant.status == "closed":
        return Refused(Refusal.ACCOUNT_CLOSED)
    if intent.account_id in intent.accounts and not applicant.may_invoice_its_own:
        return Refused(Refusal.NO_INVOICE_PERMISSION, {"account_id": intent.account_id})
    for member in intent.accounts:
        if member != intent.account_id and not applicant.may_invoice_for(member):
            return Refused(Refusal.NO_INVOICE_PERMISSION, {"account_id": member})
    return None


def _check_special(intent: InvoiceIntent, title: Title) -> Refused | None:
    if intent.kind != "special":
        return None
    if title.kind == "individual":
        return Refused(Refusal.SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON, {"kind": "special"})
    missing = [name for name in SPECIAL_NEEDS if not getattr(title, name)]
    return Refused(Refusal.TITLE_INCOMPLETE_FOR_SPECIAL, {"missing": missing}) if missing else None


def _check_tax_id(title: Title) -> Refused | None:
    if title.kind == "individual" or title.tax_id is None or is_valid_credit_code(title.tax_id):
        return None
    return Refused(Refusal.BAD_TAX_ID, {"title_id": title.title_id})
