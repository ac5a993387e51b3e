"""What invoicing asks of a tax platform, whoever it is, and what it may hear. Nothing here raises: no answer is an answer, `Unknown`."""

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from shared.contracts.invoicing import InvoiceKind, RedReason


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
class OrderLine:
    """One line to print, its name with the category in front. Amounts in fen."""

    name: str
    spec: str
    net_fen: int
    tax_percent: int
    tax_fen: int
    tax_code: str


@dataclass(frozen=True)
class BlueOrder:
    """An invoice to issue. The serial is its identity at the platform: the same serial never makes a second invoice."""

    serial: str
    kind: InvoiceKind
    seller: Party
    buyer: Party
    lines: tuple[OrderLine, ...]
    gross_fen: int
    net_fen: int
    tax_fen: int
    remark: str
    drawer: str


@dataclass(frozen=True)
class RedOrder:
    """A red invoice that reverses all of a blue one: its lines and amounts, negative, in fen. `form_number` names the confirmation form
    that the buyer has entered; without one the seller's is entered.

    The serial is its identity, for good: two orders under it never make two documents, also when the form of the first one died.
    """

    serial: str
    blue_number: str
    seller_tax_id: str
    reason: RedReason
    lines: tuple[OrderLine, ...]
    gross_fen: int
    net_fen: int
    tax_fen: int
    remark: str
    form_number: str = ""


@dataclass(frozen=True)
class Accepted:
    """Taken; issued later or not at all. Ask."""


@dataclass(frozen=True)
class Duplicate:
    """The platform has this serial already. Ask."""


@dataclass(frozen=True)
class Rejected:
    """Refused on submission. Believed when a query says so too. `QUOTA_EXCEEDED` is not for good: the same may be submitted later."""

    code: str
    text: str


@dataclass(frozen=True)
class NotFound:
    """The platform does not know the serial."""


@dataclass(frozen=True)
class Processing:
    """The platform is at it."""


@dataclass(frozen=True)
class Issued:
    """The document exists. `qr` is the payload to print; a specimen is no real invoice."""

    number: str
    issued_at: datetime
    gross_fen: int
    net_fen: int
    tax_fen: int
    qr: str
    specimen: bool


@dataclass(frozen=True)
class Failed:
    """Refused for good; the serial is dead."""

    code: str
    text: str


@dataclass(frozen=True)
class Cancelled:
    """Cancelled before it was issued; the serial is dead."""


@dataclass(frozen=True)
class TooLate:
    """No cancel any more."""


@dataclass(frozen=True)
class CancelHeard:
    """The wish to cancel has arrived. Whether it came in time, a query says."""


@dataclass(frozen=True)
class FormTold:
    """The red confirmation form of a serial and its state, two digits. Once it is confirmed the platform issues by itself."""

    number: str
    state: str


@dataclass(frozen=True)
class QuotaTold:
    """What a seller may issue in a month and what is used of it, tax not included."""

    limit_net_fen: int
    used_net_fen: int


@dataclass(frozen=True)
class Unknown:
    """No answer, or none that could be read. It says nothing about what happened."""

    reason: str


Answer = (
    Accepted
    | Duplicate
    | Rejected
    | NotFound
    | Processing
    | Issued
    | Failed
    | Cancelled
    | TooLate
    | CancelHeard
    | FormTold
    | QuotaTold
    | Unknown
)


class TaxPlatform(Protocol):
    """Opened and closed with the service."""

    async def submit(self, order: BlueOrder) -> Answer: ...

    async def submit_red(self, order: RedOrder) -> Answer: ...

    async def query(self, serial: str) -> Answer:
        """Of a blue or a red order."""
        ...

    async def cancel(self, serial: str) -> Answer: ...

    async def quota(self, tax_id: str, month: str) -> Answer:
        """Of a seller, in a month `YYYYMM` of Shanghai."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
