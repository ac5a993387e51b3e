"""What invoicing shows, and what it says when it refuses."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, Json, computed_field

from services.invoicing.domain.requests import Refused, cancel_outcome
from shared.contracts.invoicing import InvoiceKind
from shared.runtime.web import Problem

STATUS_OF = {"NOTHING_SELECTED": 422, "REMARK_TOO_LONG": 400, "REMARK_BAD_CHARACTER": 400, "REMARK_IRRELEVANT": 400, "BAD_TAX_ID": 400,
    "ACCOUNT_CLOSED": 403, "NO_INVOICE_PERMISSION": 403, "NOT_FOUND": 404}  # fmt: skip
"""All other refusals are 409: the request is well formed, the state of things is against it."""
EXPLAINED = {
    "INSUFFICIENT_INVOICEABLE": "Less is left than was asked for. Ask for no more than what the balance shows as available.",
    "DEFICIT_NOT_COVERED": "The subject has an open deficit. Settle it first, by a credit note of the invoice that was refunded.",
    "ITEM_NOT_INVOICEABLE": "A selected document cannot be invoiced (yet); `why` says the reason, `earliest_at` when to come back.",
    "SELECTION_TOO_LARGE": "It would be over more lines than one request may have. Ask for fewer documents, or by month or amount. With "
    "`offsets` there are too many refunded invoices to make up for: settle `payable_fen` of the deficit first, then ask again.",
    "ITEM_LOCKED": "A selected document is held by another request. Wait for that one, or cancel it.",
    "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT": "A deficit is paid first: what is selected must cover the amount and the deficit. Ask for less.",
    "OFFSET_ABOVE_DEFICIT": "There is no deficit of this subject as large as that. Ask for no more than the balance shows.",
    "NEGATIVE_SELECTED_ALONE": "A refund cannot be selected without its original. Select the original document.",
    "RED_FORM_AMOUNT_MISMATCH": "The red confirmation form is not over the full amount of the invoice. Have the buyer enter one that is.",
    "RED_FORM_UNKNOWN": "The tax bureau has no such form for this invoice. Check its number with the buyer.",
    "RED_FORM_DEAD": "The red confirmation form is void. Have the buyer enter a new one.",
}
"""What to do about a refusal that came from the ledger or the platform."""


class FileView(BaseModel):
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
    files: Json[list[FileView]]


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

    @computed_field
    def cancel(self) -> str | None:
        """What became of the wish to cancel: pending, done, or refused_already_issued."""
        return cancel_outcome(self.cancel_wished, self.status)


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
    files: Json[list[FileView]]


def problem(refused: Refused) -> Problem:
    status = STATUS_OF.get(refused.code, 409)
    return Problem(status, refused.code, titled(refused.code), refused.text, **refused.detail)


def explained(code: str, otherwise: str, **detail: Any) -> Problem:  # noqa: ANN401 - whatever is behind it
    """A refusal that came from the ledger or the platform."""
    return Problem(409, code, titled(code), EXPLAINED.get(code, otherwise), **detail)


def titled(code: str) -> str:
    return code.replace("_", " ").capitalize()


def not_found(what: str, value: str) -> Problem:
    return Problem(
        404, "NOT_FOUND", f"No such {what}", f"This account has no {what} {value}; list them first.", value=value
    )
