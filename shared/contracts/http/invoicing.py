"""What invoicing shows. Amounts are in fen, tax included unless the name says net or tax; moments in UTC."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, Json

from shared.contracts.invoicing import InvoiceKind


class InvoiceFileView(BaseModel):
    name: str
    media_type: str
    size: int
    sha256: str


class InvoiceView(BaseModel):
    """One part of a request; an invoice once it has a number."""

    part_id: int
    request_id: int
    part_no: int
    subject: str
    legal_entity: str
    content: str
    tax_percent: int
    kind: InvoiceKind
    gross_fen: int
    net_fen: int
    tax_fen: int
    members: list[int]
    cycles: list[str]
    status: str
    number: str | None
    red_number: str | None
    issued_at: AwareDatetime | None
    specimen: bool | None
    reason: str | None
    text: str | None
    files: Json[list[InvoiceFileView]]


class RequestView(BaseModel):
    request_id: int
    method: str
    kind: InvoiceKind
    numbers: list[str]
    cycles: list[str]
    products: list[str]
    members: list[int]
    consolidate: bool
    one_invoice_per_month: bool
    subject: str | None
    amount_fen: int | None
    remark: str
    status: str
    cancel_wished: bool
    reason: str | None
    detail: Json[dict[str, Any]]
    created_at: AwareDatetime
    closed_at: AwareDatetime | None
    invoices: list[InvoiceView] = []

    cancel: str | None = None
    """What became of the wish to cancel: pending, done, or refused_already_issued."""


class CreditNoteView(BaseModel):
    """A credit note of an invoice: a red invoice once it has a `red_number`. Its amounts are negative."""

    credit_note_id: int
    number: str
    part_id: int
    request_id: int
    subject: str
    legal_entity: str
    tax_percent: int
    kind: InvoiceKind
    gross_fen: int
    net_fen: int
    tax_fen: int
    reason: str
    remark: str
    recorded: bool
    status: str
    red_form_number: str | None
    red_form_state: str | None
    red_number: str | None
    credited_at: AwareDatetime | None
    specimen: bool | None
    failure: str | None
    text: str | None
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    files: Json[list[InvoiceFileView]]
