"""Why a balance is what it is, in the terms a finance clerk adds up, and why money moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from shared.contracts.http.ledger import CauseKind, Term

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
class TermLine:
    """A term, and what is left after it."""

    term: Term
    text: str
    fen: int
    left_fen: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """`deficit_fen` is positive: available less deficit is the net, which is what is left after the last term."""

    lines: tuple[TermLine, ...]
    settled_fen: int
    consumed_fen: int
    available_fen: int
    deficit_fen: int
    invoiceable_net_fen: int


def explain(parts: Mapping[str, int]) -> Explanation:
    """`parts` has every term, and the figures counted without them: settled, consumed, positive and negative (zero or below)."""
    lines: list[TermLine] = []
    left = 0
    for term, text in TERMS.items():
        left += parts[term]
        lines.append(TermLine(term, text, parts[term], left))
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
