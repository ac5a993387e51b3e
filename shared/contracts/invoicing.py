"""Facts of invoicing on `invoicing.events`: the life of a request and of its invoices, for the ledger, notification and finance."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.contracts.message import Code, Fen, Frozen, Id, Message, Moment, Number, PositiveFen

InvoiceKind = Literal["general", "special"]
RedReason = Literal["issued_in_error", "sales_return", "service_stopped", "sales_allowance"]
Method = Literal["by_order", "by_monthly_bill", "by_amount", "offset"]
InvoiceNumber = Annotated[str, Field(pattern=r"^[0-9]{20}$")]
Serial = Annotated[str, Field(pattern=r"^[0-9A-Z]{20}$")]


class InvoicingFact(Message):
    topic: ClassVar[str] = "invoicing.events"

    request_id: Id


class AccountAtRest(Message):
    """Nothing is under way any more that would need what the erasure of this `version` takes away."""

    topic: ClassVar[str] = InvoicingFact.topic

    version: int


class Share(Frozen):
    """What a part takes of a reserved group."""

    group_no: Annotated[int, Field(ge=1)]
    amount_fen: PositiveFen


class InvoiceRequested(InvoicingFact):
    """A request was accepted and stored; its balance is not reserved yet."""

    method: Method
    kind: InvoiceKind
    amount_fen: PositiveFen | None = None


class RequestRefused(InvoicingFact):
    """The system refuses: no invoice will come of this request, and why."""

    reason: Code
    detail: dict[str, int | str] = {}


class PartFact(InvoicingFact):
    """One part of a request, which becomes one invoice or none. `shares` sum to `gross_fen`."""

    part_id: Id
    reservation_id: Id
    subject: Code
    legal_entity: Code
    content: Code
    tax_percent: Annotated[int, Field(ge=0, le=100)]
    kind: InvoiceKind
    gross_fen: PositiveFen
    net_fen: Fen
    tax_fen: Fen
    shares: tuple[Share, ...] = Field(min_length=1)


class InvoiceIssued(PartFact):
    """The tax platform issued the part: an invoice that exists, whatever else happened meanwhile."""

    serial: Serial
    number: InvoiceNumber
    issued_at: Moment
    specimen: bool


class InvoiceFailed(PartFact):
    """The platform refused the part for good (confirmed by a query); its amount is free again."""

    serial: Serial
    reason: Code
    text: Annotated[str, Field(max_length=400)] = ""


class InvoiceVoided(PartFact):
    """The part was cancelled before it became an invoice; its amount is free again."""

    reason: Code


class PartWaitsForQuota(InvoicingFact):
    """The seller may not issue as much this month: the part waits until the quota is raised or the next month begins."""

    part_id: Id
    legal_entity: Code
    month: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    needed_net_fen: PositiveFen
    left_net_fen: Fen | None = None
    """Not known if the platform only said that it is too much."""


class CreditNoteFact(InvoicingFact):
    """A credit note over all of an issued invoice, whose part, number and amount it names. Until it ends, that counts as invoiced."""

    credit_note_id: Id
    part_id: Id
    number: InvoiceNumber
    gross_fen: PositiveFen


class CreditNoteRequested(CreditNoteFact):
    """A credit note was asked for and stored."""

    reason: RedReason


class RedFormWaits(CreditNoteFact):
    """The buyer has to confirm the red confirmation form in the e-tax bureau; after `hours_left`, full hours, it is void.

    Said when 72, 48, 24 and 6 are left, or soon after.
    """

    form_number: Annotated[str, Field(max_length=40)]
    hours_left: Annotated[int, Field(ge=0, le=72)]


class CreditNoteFailed(CreditNoteFact):
    """No red invoice comes of it: refused, or its form is void. The invoice stands as before."""

    reason: Code
    text: Annotated[str, Field(max_length=400)] = ""
    form_number: Annotated[str, Field(max_length=40)] | None = None


class InvoiceCredited(PartFact):
    """A red invoice over all of the part was issued; its amount is free again (R-14). The figures are those of the blue one."""

    number: InvoiceNumber
    red_number: InvoiceNumber
    credited_at: Moment
    specimen: bool


class InvoiceFile(Frozen):
    name: Annotated[str, Field(max_length=100)]
    media_type: Annotated[str, Field(max_length=100)]
    object_key: Annotated[str, Field(max_length=200)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InvoiceFilesStored(InvoicingFact):
    """The files of an issued invoice are in the object store and can be read there; or those of the red one, if a credit note is named."""

    part_id: Id
    credit_note_id: Id | None = None
    number: InvoiceNumber
    gross_fen: PositiveFen
    files: tuple[InvoiceFile, ...] = Field(min_length=1)


class RequestClosed(InvoicingFact):
    """Every part of the request has come to rest; or there was none, because all of the selection paid deficits."""

    status: Literal["invoiced", "partly_issued", "failed", "voided", "refused", "offset_only"]
    numbers: tuple[Number, ...] = ()
