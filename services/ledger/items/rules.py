"""Why nothing of a document can be invoiced now."""

from dataclasses import dataclass
from datetime import datetime

from services.ledger.journal.rules import NEVER, why_not_open
from shared.contracts.http.ledger import NotInvoiceableReason

REASONS: dict[NotInvoiceableReason, str] = {
    "VENDOR_INVOICES_IT": "The vendor of this product invoices it: ask the vendor.",
    "NOBODY_INVOICES_IT": "Trades of this kind are between customers: ask the seller.",
    "NOTHING_PAID_IN_CASH": "Vouchers or discounts paid for all of it, and only cash is invoiced.",
    "NOT_OPEN_YET": "Its month is not closed yet: it can be invoiced from the time given.",
    "IN_DEFICIT": "More was refunded than is left: new consumption of the same subject pays this deficit first.",
    "RESERVED": "A request in progress holds it; if that comes to nothing, it is free again.",
    "INVOICED": "All that was left of it is on invoices.",
    "PAID_A_DEFICIT": "It paid a deficit of the same subject instead of being invoiced.",
    "REFUNDED": "All of it was refunded.",
    "BILL_NOT_SETTLED": "Usage is invoiced with the bill of its month, which has not come yet; not before the time given.",
    "IN_ITS_BILL": "Usage is invoiced with the bill of its month, which has come: look for that.",
}


@dataclass(frozen=True, slots=True)
class NotInvoiceable:
    """Why nothing of a document can be invoiced. `earliest_at` is when that may change by itself."""

    reason: NotInvoiceableReason
    text: str
    earliest_at: datetime | None = None


INVOICEABLE = dict.fromkeys(NotInvoiceable.__slots__)
"""The same fields of an item of which something can be invoiced."""


@dataclass(frozen=True, slots=True)
class ItemBuckets:
    """Where the money of an item is."""

    opens_at: datetime
    settled_fen: int
    refunded_fen: int
    invoiceable_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_fen: int

    def can_invoice_fen(self, now: datetime) -> int:
        return max(self.invoiceable_fen, 0) if self.opens_at <= now else 0


def why_not(item: ItemBuckets, invoiceable_by: object, now: datetime) -> NotInvoiceable | None:
    """The first that holds, of an item of which nothing can be invoiced. `invoiceable_by`: who invoices its type of order."""
    if item.can_invoice_fen(now) > 0:
        return None
    reasons: list[tuple[bool, NotInvoiceableReason]] = [
        (item.opens_at == NEVER, why_not_open(item.opens_at, invoiceable_by)),
        (item.settled_fen == 0, "NOTHING_PAID_IN_CASH"),
        (item.refunded_fen == item.settled_fen and item.invoiceable_fen == 0, "REFUNDED"),
        (item.opens_at > now, why_not_open(item.opens_at, invoiceable_by)),
        (item.invoiceable_fen < 0, "IN_DEFICIT"),
        (item.reserved_fen > 0, "RESERVED"),
        (item.invoiced_fen > 0, "INVOICED"),
        (True, "PAID_A_DEFICIT"),
    ]
    reason = next(reason for holds, reason in reasons if holds)
    return NotInvoiceable(reason, REASONS[reason], item.opens_at if reason == "NOT_OPEN_YET" else None)


def why_not_usage(earliest_at: datetime, billed: bool) -> NotInvoiceable:
    """Usage itself is never invoiced."""
    return (
        NotInvoiceable("IN_ITS_BILL", REASONS["IN_ITS_BILL"])
        if billed
        else NotInvoiceable("BILL_NOT_SETTLED", REASONS["BILL_NOT_SETTLED"], earliest_at)
    )
