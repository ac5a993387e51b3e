"""What invoicing asks of a tax platform, whoever it is, and what it may hear: one type of answer for each question.

Nothing here raises: no answer is an answer, `Unknown`. A protocol's own codes and numbers are translated by its adapter; what the rules
see has names of ours.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from shared.contracts.invoicing import InvoiceKind, RedReason
from shared.domain.refusals import Refusal

QUOTA_EXCEEDED = Refusal.QUOTA_EXCEEDED
"""The code of a rejection that is not for good: the same serial may be submitted again when the quota is raised."""


@dataclass(frozen=True)
class Party:
    """Seller or buyer."""

    name: str
    tax_id: str = ""
    address: str = ""
    phone: str = ""
    bank_name: str = ""
    bank_account: str = ""


@dataclass(frozen=True)
class DraftLine:
    """One line to print, its name with the category in front. Amounts in fen."""

    name: str
    spec: str
    net_fen: int
    tax_percent: int
    tax_fen: int
    tax_code: str


@dataclass(frozen=True)
class BlueDraft:
    """An invoice to issue. The serial is its identity at the platform: the same serial never makes a second invoice."""

    serial: str
    kind: InvoiceKind
    seller: Party
    buyer: Party
    lines: tuple[DraftLine, ...]
    gross_fen: int
    net_fen: int
    tax_fen: int
    remark: str
    drawer: str


@dataclass(frozen=True)
class RedDraft:
    """A red invoice that reverses all of a blue one: its lines and amounts, negative, in fen. `form_number` names the confirmation form
    that the buyer has entered; without one the seller's is entered.

    The serial is its identity, for good: two drafts under it never make two invoices, also when the form of the first one died.
    """

    serial: str
    blue_number: str
    seller_tax_id: str
    reason: RedReason
    lines: tuple[DraftLine, ...]
    gross_fen: int
    net_fen: int
    tax_fen: int
    remark: str
    form_number: str = ""


@dataclass(frozen=True)
class Unknown:
    """No answer, or none that could be read. It says nothing about what happened."""

    reason: str


@dataclass(frozen=True)
class Issued:
    """The invoice exists. `qr` is the payload to print; a specimen is no real invoice."""

    number: str
    issued_at: datetime
    gross_fen: int
    net_fen: int
    tax_fen: int
    qr: str
    specimen: bool


# to a submission


@dataclass(frozen=True)
class Accepted:
    """It will be issued later or not at all. Ask."""


@dataclass(frozen=True)
class Duplicate:
    """The platform has this serial already. Ask."""


@dataclass(frozen=True)
class Rejected:
    """Refused on submission. Believed when a query says so too."""

    code: str
    text: str


SubmitAnswer = Accepted | Duplicate | Rejected | Issued | Unknown


# to a query


@dataclass(frozen=True)
class NotFound:
    """The platform does not know the serial."""


@dataclass(frozen=True)
class Processing:
    """The platform is at it."""


@dataclass(frozen=True)
class Failed:
    """Refused for good; the serial is dead."""

    code: str
    text: str


@dataclass(frozen=True)
class Cancelled:
    """Cancelled before it was issued; the serial is dead."""


class FormState(StrEnum):
    """Of a red confirmation form that may still be confirmed."""

    CONFIRMED = "confirmed"
    """By whoever had to, if anybody: the platform issues by itself."""
    AWAITS_BUYER = "awaits_buyer"
    AWAITS_SELLER = "awaits_seller"
    OTHER = "other"
    """Also a state that nobody has heard of: it is waited for."""


@dataclass(frozen=True)
class FormTold:
    """The red confirmation form of a serial and its state. `code` is the state as the platform writes it, only for show."""

    number: str
    state: FormState
    code: str


@dataclass(frozen=True)
class FormDied:
    """The red confirmation form of a serial is void, and why: `reason` is a stable code of ours."""

    number: str
    code: str
    reason: str
    text: str


QueryAnswer = NotFound | Processing | Issued | Failed | Cancelled | FormTold | FormDied | Unknown


# to a wish to cancel


@dataclass(frozen=True)
class CancelHeard:
    """The wish has arrived. Whether it came in time, a query says."""


CancelAnswer = CancelHeard | Unknown


# to a question about a quota


@dataclass(frozen=True)
class QuotaTold:
    """What a seller may issue in a month and what is used of it, tax not included."""

    limit_net_fen: int
    used_net_fen: int


QuotaAnswer = QuotaTold | Unknown

Answer = SubmitAnswer | QueryAnswer | CancelAnswer
"""Whatever may be heard about a serial."""


class TaxPlatform(Protocol):
    """Opened and closed with the service."""

    async def submit(self, draft: BlueDraft) -> SubmitAnswer: ...

    async def submit_red(self, draft: RedDraft) -> SubmitAnswer: ...

    async def query(self, serial: str) -> QueryAnswer:
        """Of a blue or a red draft."""
        ...

    async def cancel(self, serial: str) -> CancelAnswer: ...

    async def quota(self, tax_id: str, month: str) -> QuotaAnswer:
        """Of a seller, in a month `YYYYMM` of Shanghai."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
