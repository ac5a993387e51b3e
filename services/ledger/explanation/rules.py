"""Why a balance is what it is, in the terms a finance clerk adds up, and why a document cannot be invoiced now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from services.ledger.intake.rules import NEVER
from shared.contracts.http.ledger import CauseKind, NotInvoiceableReason, Term

TERMS: dict[Term, str] = {
    "list_price": "Everything bought and billed, at list price",
    "vouchers": "Paid by vouchers, coupons and gifts: never invoiceable",
    "discounts": "Never paid: discounts on the list price",
    "not_open_yet": "Paid, but not invoiceable yet: a month of pay-as-you-go opens on the 3rd of the next",
    "others_invoice": "Paid, but invoiced by the vendor, or by nobody",
    "refunds": "Given back by refunds and downward adjustments",
    "invoiced": "On invoices",
    "in_progress": "Held for requests in progress",
    "in_allocation": "Held for large requests whose documents are still being picked",
    "offset_cost": "Consumption that paid a deficit instead of being invoiced",
    "offset_accept": "Deficits that were paid by other consumption",
}
"""From what was spent to what is left, in the order in which it is read. Every term has a sign of its own: they are added."""

assert (*TERMS,) == get_args(Term), "each term has its text, in the order in which they are read"

CHECKED: dict[Term, str] = {"discounts": "settled", "others_invoice": "consumed"}
"""What must be left after a term: cash paid; of that, what is open and ours to invoice."""


@dataclass(frozen=True, slots=True)
class Line:
    """A term, and what is left after it."""

    term: Term
    text: str
    fen: int
    left_fen: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """`deficit_fen` is positive: available less deficit is the net, which is what is left after the last term."""

    lines: tuple[Line, ...]
    settled_fen: int
    consumed_fen: int
    available_fen: int
    deficit_fen: int
    invoiceable_net_fen: int


def explain(parts: Mapping[str, int]) -> Explanation:
    """`parts` has every term, and the figures counted without them: settled, consumed, positive and negative (zero or below)."""
    lines: list[Line] = []
    left = 0
    for term, text in TERMS.items():
        left += parts[term]
        lines.append(Line(term, text, parts[term], left))
        assert left == parts.get(CHECKED.get(term, ""), left), f"what is left after {term} is not what was counted"
    available = parts["positive"] + parts["in_allocation"]
    assert left == available + parts["negative"], "the terms add up to what items have"
    return Explanation(tuple(lines), parts["settled"], parts["consumed"], available, -parts["negative"], left)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why money moved. `number` names the document, request or part; `line` that of a refund."""

    kind: CauseKind
    number: str
    line: int | None = None


WRITTEN: dict[str, CauseKind] = {
    "refund ": "refund",
    "request ": "request",
    "part ": "part",
    "credit of part ": "credit",
    "release of request ": "release",
}


def cause_of(written: str) -> Cause:
    """As the ledger wrote it beside the move."""
    ((kind, name),) = [(kind, written[len(start) :]) for start, kind in WRITTEN.items() if written.startswith(start)]
    if kind != "refund":
        return Cause(kind, name)
    number, _, line = name.rpartition("/")
    return Cause(kind, number, int(line))


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
class Why:
    """Why nothing of a document can be invoiced. `earliest_at` is when that may change by itself."""

    reason: NotInvoiceableReason
    text: str
    earliest_at: datetime | None = None


NO_WHY = dict.fromkeys(Why.__slots__)


@dataclass(frozen=True, slots=True)
class Standing:
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


def closed(opens_at: datetime, by: object) -> NotInvoiceableReason:
    """Why an item that opens later, or never, is not open. `by`: who invoices its type of order."""
    if opens_at < NEVER:
        return "NOT_OPEN_YET"
    return "VENDOR_INVOICES_IT" if by == "vendor" else "NOBODY_INVOICES_IT"


def why_not(item: Standing, by: object, now: datetime) -> Why | None:
    """The first that holds, of an item of which nothing can be invoiced. `by`: who invoices its type of order."""
    if item.can_invoice_fen(now) > 0:
        return None
    reasons: list[tuple[bool, NotInvoiceableReason]] = [
        (item.opens_at == NEVER, closed(item.opens_at, by)),
        (item.settled_fen == 0, "NOTHING_PAID_IN_CASH"),
        (item.refunded_fen == item.settled_fen and item.invoiceable_fen == 0, "REFUNDED"),
        (item.opens_at > now, closed(item.opens_at, by)),
        (item.invoiceable_fen < 0, "IN_DEFICIT"),
        (item.reserved_fen > 0, "RESERVED"),
        (item.invoiced_fen > 0, "INVOICED"),
        (True, "PAID_A_DEFICIT"),
    ]
    reason = next(reason for holds, reason in reasons if holds)
    return Why(reason, REASONS[reason], item.opens_at if reason == "NOT_OPEN_YET" else None)


def why_not_usage(earliest_at: datetime, billed: bool) -> Why:
    """Usage itself is never invoiced."""
    return (
        Why("IN_ITS_BILL", REASONS["IN_ITS_BILL"])
        if billed
        else Why("BILL_NOT_SETTLED", REASONS["BILL_NOT_SETTLED"], earliest_at)
    )
