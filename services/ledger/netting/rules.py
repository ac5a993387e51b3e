"""A deficit is paid first, by consumption of the same subject, oldest first on both sides (R-3, D-10, D-13).

Accounts pay only their own; those whose relation allows it are a pool and pay each other's (D-20).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.ledger.journal.rules import INVOICEABLE, OFFSET, Move
from services.ledger.journal.sums import SumKey

Scope = tuple[int, str]
"""Account, or the pool, and subject: deficits of one scope are never paid by another."""
POOL = 0
Pooled = frozenset[int]
ALONE: Pooled = frozenset()


class Candidate(NamedTuple):
    """An item that the selection names, oldest first. A tuple, for there may be thousands."""

    account_id: int
    item_id: int
    number: str
    subject: str
    content: str
    tax_percent: int
    cycle: str
    spec: str | None
    occurred_at: datetime
    opens_at: datetime
    invoiceable_fen: int
    reserved_fen: int
    order_type: str | None = None

    @property
    def sum_key(self) -> SumKey:
        return SumKey(self.account_id, self.subject, self.cycle, self.content, self.opens_at)

    @property
    def free_fen(self) -> int:
        return max(self.invoiceable_fen, 0)


@dataclass(frozen=True, slots=True)
class Owed:
    """An item below zero, oldest first. `number` is the refund that took it there; `owed_fen` is positive."""

    account_id: int
    item_id: int
    number: str
    subject: str
    owed_fen: int


def scope_of(one: SumKey | Candidate | Owed, pooled: Pooled) -> Scope:
    return POOL if one.account_id in pooled else one.account_id, one.subject


@dataclass(frozen=True, slots=True)
class Offset:
    """What one item pays of another's deficit."""

    from_item: Candidate
    to_item: Owed
    amount_fen: int

    def moves(self, cause: str) -> tuple[Move, Move]:
        cost, accept = self.from_item, self.to_item
        return (
            Move(cost.account_id, cost.item_id, INVOICEABLE, OFFSET, self.amount_fen, cause),
            Move(accept.account_id, accept.item_id, OFFSET, INVOICEABLE, self.amount_fen, cause),
        )


def unpromised(selected: Sequence[Candidate], free: Mapping[SumKey, int]) -> tuple[list[Candidate], list[Candidate]]:
    """What the items have that is not promised to a large reservation in work; and those that have less by that, oldest first.

    Promises are made on sums: whichever items are taken, of each sum no more than what is free. Sums not in `free` are free.
    """
    if not free:
        return list(selected), []
    left = dict(free)
    kept, lessened = [], []
    for item in selected:
        fen = min(item.free_fen, left.get(item.sum_key, item.free_fen))
        if fen < item.free_fen:
            lessened.append(item)
        if item.sum_key in left:
            left[item.sum_key] -= fen
        kept.append(item if fen == item.free_fen else item._replace(invoiceable_fen=fen))
    return kept, lessened


def net(
    selected: Sequence[Candidate], owed: Sequence[Owed], most_fen: int | None = None, pooled: Pooled = ALONE
) -> tuple[list[Offset], dict[int, int]]:
    """Pairs, and what each selected item has left. All of the deficits, or `most_fen` of them."""
    left = {item.item_id: item.free_fen for item in selected}
    offsets: list[Offset] = []
    for debt in owed:
        open_fen = debt.owed_fen if most_fen is None else min(debt.owed_fen, most_fen - paid_fen(offsets))
        for item in selected:
            same = scope_of(item, pooled) == scope_of(debt, pooled)
            amount = min(open_fen, left[item.item_id]) if same else 0
            if amount > 0:
                offsets.append(Offset(item, debt, amount))
                left[item.item_id] -= amount
                open_fen -= amount
    return offsets, left


def paid_fen(offsets: Iterable[Offset]) -> int:
    return sum(one.amount_fen for one in offsets)


def by_scope(amounts: Iterable[tuple[Scope, int]]) -> dict[Scope, int]:
    sums: dict[Scope, int] = defaultdict(int)
    for scope, fen in amounts:
        sums[scope] += fen
    return dict(sums)
