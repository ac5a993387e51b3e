"""A refund finds its original whenever that comes. It counts whole, once, and never for more than the original was (D-24)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from services.ledger.journal.rules import DueRefund
from shared.contracts.ledger import RefundUnmatched

RACE_SECONDS = 60
WAIT = timedelta(hours=24)
Document = tuple[int, str]
"""Account and number of a refund or adjustment."""


@dataclass(frozen=True, slots=True)
class WaitingRefund:
    """A line of a refund that does not count yet. `item_id` is its original, if that is here, and `left_fen` what that still has."""

    account_id: int
    number: str
    line: int
    original_number: str
    cash_fen: int
    arrived_at: datetime
    item_id: int | None
    left_fen: int

    @property
    def document(self) -> Document:
        return self.account_id, self.number


@dataclass(frozen=True, slots=True)
class Excess:
    """A refund larger than what its original has left to be refunded."""

    document: Document
    original_number: str
    refund_fen: int
    left_fen: int

    @property
    def text(self) -> str:
        return (
            f"{self.refund_fen} fen are to be refunded of {self.original_number}, which has {self.left_fen} fen left to be refunded; "
            "correct the refund under a new number, or redrive once the original is complete"
        )


@dataclass(frozen=True)
class Matching:
    """What of the waiting refunds counts from now on."""

    due: tuple[DueRefund, ...] = ()
    excesses: tuple[Excess, ...] = ()


def match(waiting: Sequence[WaitingRefund]) -> Matching:
    """In the order of their arrival, each refund as a whole. `waiting` is in that order."""
    spent = Counter[int]()
    due: list[DueRefund] = []
    excesses: list[Excess] = []
    for document, members in groupby(waiting, key=lambda line: line.document):
        lines = list(members)
        wanted = Counter[int]()
        for line in lines:
            wanted[line.item_id or 0] += line.cash_fen
        left = {line.item_id: line.left_fen - spent[line.item_id] for line in lines if line.item_id is not None}
        if 0 in wanted:
            continue
        too_much = [item_id for item_id, fen in wanted.items() if fen > left[item_id]]
        if too_much:
            excesses.append(Excess(document, lines[0].original_number, wanted[too_much[0]], left[too_much[0]]))
            continue
        spent.update(wanted)
        due += _due(lines)
    return Matching(tuple(sorted(due, key=lambda one: (one.account_id, one.item_id))), tuple(excesses))


def _due(lines: Sequence[WaitingRefund]) -> Iterator[DueRefund]:
    for line in lines:
        assert line.item_id is not None
        yield DueRefund(line.account_id, line.number, line.line, line.item_id, line.cash_fen)


@dataclass(frozen=True)
class OverdueRefund:
    """A refund that a worker looks at again: soon, in case its original came in at the same moment; and after a day."""

    account_id: int
    number: str
    arrived_at: datetime
    original_number: str

    def next_look(self, now: datetime) -> datetime | None:
        """None after the day: then it has been said, and only news of the account changes anything."""
        return self.arrived_at + WAIT if now < self.arrived_at + WAIT else None


def unmatched(overdue: OverdueRefund, found: Matching, now: datetime) -> list[RefundUnmatched]:
    """Said once, a day after the refund came, if it still does not count."""
    document = (overdue.account_id, overdue.number)
    matched = any((one.account_id, one.number) == document for one in found.due)
    if matched or overdue.next_look(now) is not None:
        return []
    excess = any(one.document == document for one in found.excesses)
    return [
        RefundUnmatched(
            account_id=overdue.account_id,
            number=overdue.number,
            original_number=overdue.original_number,
            waiting_since=overdue.arrived_at,
            reason="REFUND_EXCEEDS_ORIGINAL" if excess else "ORIGINAL_MISSING",
        )
    ]
