"""What the ledger shows. Amounts are in fen, moments in UTC; `next` is the cursor of the next page, none on the last."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel

CauseKind = Literal["settled", "refund", "request", "part", "credit", "release"]
"""Why money moved."""
NotInvoiceableReason = Literal[
    "VENDOR_INVOICES_IT",
    "NOBODY_INVOICES_IT",
    "NOTHING_PAID_IN_CASH",
    "NOT_OPEN_YET",
    "IN_DEFICIT",
    "RESERVED",
    "INVOICED",
    "PAID_A_DEFICIT",
    "REFUNDED",
    "BILL_NOT_SETTLED",
    "IN_ITS_BILL",
]
"""Why nothing of a document can be invoiced now."""
Term = Literal[
    "list_price",
    "vouchers",
    "discounts",
    "not_open_yet",
    "others_invoice",
    "refunds",
    "invoiced",
    "in_progress",
    "in_allocation",
    "offset_cost",
    "offset_accept",
]
"""The terms of an explanation, in the order in which they are read and added."""


class ItemView(BaseModel):
    """One line of an order or bill, where its money is, and why nothing can be invoiced if nothing can."""

    item_id: int
    kind: str
    number: str
    line: int
    contract_number: str | None
    cycle: str
    subject: str
    content: str
    tax_percent: int
    product_code: str | None
    item_name: str
    spec: str | None
    order_type: str | None
    occurred_at: AwareDatetime
    arrived_at: AwareDatetime
    opens_at: AwareDatetime
    list_fen: int | None
    voucher_fen: int | None
    settled_fen: int
    refunded_fen: int
    invoiceable_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_fen: int
    states: list[str]
    can_invoice_fen: int
    reason: NotInvoiceableReason | None
    text: str | None
    earliest_at: AwareDatetime | None


class ItemPage(BaseModel):
    items: list[ItemView]
    next: str | None


class Totals(BaseModel):
    """`invoiceable_fen`: neither invoiced nor held, open or not, less deficits; `can_invoice_fen`: what of it may be invoiced now."""

    count: int
    settled_fen: int
    refunded_fen: int
    invoiceable_fen: int
    can_invoice_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_fen: int


class Month(BaseModel):
    """`opens_at` is none where the vendor invoices, or nobody. `offset_fen`: paid for deficits, less what was paid of its own."""

    subject: str
    cycle: str
    state: Literal["open", "not_open_yet", "not_invoiceable"]
    opens_at: AwareDatetime | None
    consumed_fen: int
    refunded_fen: int
    invoiced_fen: int
    in_progress_fen: int
    offset_fen: int
    available_fen: int
    deficit_fen: int
    invoiceable_net_fen: int


class UsageView(BaseModel):
    """Pay-as-you-go usage is never invoiced itself; its bill is."""

    number: str
    line: int
    cycle: str
    subject: str
    cash_fen: int
    occurred_at: AwareDatetime
    reason: NotInvoiceableReason
    text: str
    earliest_at: AwareDatetime | None


class UsagePage(BaseModel):
    usage: list[UsageView]
    next: str | None


class RefundView(BaseModel):
    """A refund counts once its original is known. Until then it waits, since `waits_since`."""

    number: str
    line: int
    cash_fen: int
    occurred_at: AwareDatetime
    state: Literal["waiting", "attached"]
    original_number: str
    original_line: int
    waits_since: AwareDatetime | None


class RefundPage(BaseModel):
    refunds: list[RefundView]
    next: str | None


class Cash(BaseModel):
    cash_fen: int
    withdrawable_fen: int


class LineView(BaseModel):
    """A term, to be added as it is, and what is left after it."""

    term: Term
    text: str
    fen: int
    left_fen: int


class ExplanationView(BaseModel):
    """The figures are those of the balance; the lines lead to `invoiceable_net_fen`, which is available less deficit."""

    subject: str
    as_of: AwareDatetime
    lines: list[LineView]
    settled_fen: int
    consumed_fen: int
    available_fen: int
    deficit_fen: int
    invoiceable_net_fen: int


class CauseView(BaseModel):
    """`number` of the document, request or part; `line` of a refund."""

    kind: CauseKind
    number: str
    line: int | None


class TermCauseView(CauseView):
    fen: int


class DocumentView(BaseModel):
    """What a document adds to a term, and why: at most the twenty latest causes. Of `in_allocation` only the month is known."""

    item_id: int | None = None
    kind: str | None = None
    number: str | None = None
    line: int | None = None
    item_name: str | None = None
    subject: str
    cycle: str
    occurred_at: AwareDatetime | None = None
    fen: int
    causes: list[TermCauseView] = []


class DocumentPage(BaseModel):
    documents: list[DocumentView]
    next: str | None


class MoveView(BaseModel):
    """What moved when and why, and what was where afterwards. The first of an item is its settlement."""

    item_id: int
    kind: str
    number: str
    line: int
    at: AwareDatetime
    cause: CauseView
    from_bucket: str
    to_bucket: str
    amount_fen: int
    refunded_fen: int
    invoiceable_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_fen: int


class MovePage(BaseModel):
    moves: list[MoveView]
    next: str | None


class ReservedView(BaseModel):
    """What a request took of a document, and what became of it; `credited_fen` is what of the invoiced came back.

    What another account's document (`owner_id`) is called, only that account sees.
    """

    place: int
    owner_id: int
    item_id: int
    kind: str | None
    number: str | None
    line: int | None
    item_name: str | None
    subject: str | None
    cycle: str | None
    occurred_at: AwareDatetime | None
    group_no: int
    reserved_fen: int
    invoiced_fen: int
    released_fen: int
    credited_fen: int


class ReservedPage(BaseModel):
    items: list[ReservedView]
    next: str | None
