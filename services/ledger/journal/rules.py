"""The one verb: an amount moves from one bucket of an item to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from shared.contracts.http.ledger import NotInvoiceableReason

OUTSIDE, INVOICEABLE, RESERVED, INVOICED, OFFSET = "outside", "invoiceable", "reserved", "invoiced", "offset"

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""Before every item: where a walk through time begins."""
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When items open that only their vendor, or nobody, invoices."""


class Move(NamedTuple):
    """`cause` says why, so that every fen can be explained: "refund F1", "request 7", "part 12"."""

    account_id: int
    item_id: int
    from_bucket: str
    to_bucket: str
    amount_fen: int
    cause: str


@dataclass(frozen=True, slots=True)
class DueRefund:
    """A refund whose original has come."""

    account_id: int
    number: str
    line: int
    item_id: int
    cash_fen: int


def refund_moves(due: Sequence[DueRefund]) -> list[Move]:
    """A refund may take its item below zero: that is the deficit. Nothing else may, but an invoice that turns out to exist."""
    return [
        Move(one.account_id, one.item_id, INVOICEABLE, OUTSIDE, one.cash_fen, f"refund {one.number}/{one.line}")
        for one in due
    ]


def why_not_open(opens_at: datetime, invoiceable_by: object) -> NotInvoiceableReason:
    """Why an item that opens later, or never, is not open. `invoiceable_by`: who invoices its type of order."""
    if opens_at < NEVER:
        return "NOT_OPEN_YET"
    return "VENDOR_INVOICES_IT" if invoiceable_by == "vendor" else "NOBODY_INVOICES_IT"
