"""The one verb: an amount moves from one bucket of an item to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

OUTSIDE, INVOICEABLE, RESERVED, INVOICED, OFFSET = "outside", "invoiceable", "reserved", "invoiced", "offset"


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
    """A refund may take its item below zero: that is the deficit. Nothing else may, but a document that turns out to exist."""
    return [
        Move(one.account_id, one.item_id, INVOICEABLE, OUTSIDE, one.cash_fen, f"refund {one.number}/{one.line}")
        for one in due
    ]
