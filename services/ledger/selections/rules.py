"""What a command selects, and how to look for it: as few of an account's items as suffice, the oldest first.

An account may have a million open items. So they are looked at in chunks that grow as needed, and only what seems to suffice is locked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from services.ledger.journal import limits
from services.ledger.journal.rules import BEGINNING, NEVER
from services.ledger.journal.sums import SumKey
from services.ledger.netting.rules import (
    ALONE,
    POOL,
    Candidate,
    Owed,
    Pooled,
    Scope,
    by_scope,
    scope_of,
    unpromised,
)
from shared.contracts.ledger import Selection
from shared.domain.calendar import month_start, next_cycle

NotItem = str | datetime
"""A refund, by the number of its original; or usage, by the moment before which its bill does not come."""
Free = Mapping[SumKey, int]
"""Of sums on which a large reservation in work has a promise: what is free of them. Nearly always empty."""


@dataclass(frozen=True)
class Selected:
    """What a command selects, locked: its items, the deficits that may bear on them.

    `not_items`: selected numbers that stand for something else.
    """

    items: Sequence[Candidate]
    owed: Sequence[Owed]
    not_items: Mapping[str, NotItem] = field(default_factory=dict)
    free: Free = field(default_factory=dict)
    pooled: Pooled = ALONE

    @property
    def have_fen(self) -> int:
        return sum(item.free_fen for item in self.items)

    @property
    def have(self) -> dict[Scope, int]:
        return by_scope((scope_of(item, self.pooled), item.free_fen) for item in self.items if item.free_fen)

    def unpromised(self) -> "Selected":
        return replace(self, items=unpromised(self.items, self.free)[0])

    def owed_here(self, have: Mapping[Scope, int]) -> list[Owed]:
        """Of the accounts and subjects that are selected."""
        return [debt for debt in self.owed if have.get(scope_of(debt, self.pooled), 0) > 0]


def in_order(found: Mapping[int, Candidate]) -> list[Candidate]:
    return sorted(found.values(), key=lambda item: (item.account_id, item.occurred_at, item.item_id))


def payers(command: Selection, owed: Sequence[Owed]) -> list[tuple[Selection, int]]:
    """For the deficits of each account and subject: what may pay them, and how much that has to be."""
    pooled = frozenset(command.pooled)
    debts = by_scope((scope_of(debt, pooled), debt.owed_fen) for debt in owed)
    return [(_of_scope(command, scope), fen) for scope, fen in debts.items()]


def _of_scope(command: Selection, scope: Scope) -> Selection:
    account_id, subject = scope
    whose = command.pooled if account_id == POOL else (account_id,)
    return command.model_copy(update={"accounts": whose, "subject": subject})


# where to look


@dataclass(frozen=True)
class Walk:
    """Over items that occurred from `begins_at` till before `ends_at`. `passes_by`: what others have locked is not waited for."""

    begins_at: datetime
    ends_at: datetime
    passes_by: bool = False


@dataclass(frozen=True)
class Plan:
    """The walks through an account, one after the other, and how much there is to be found at most."""

    walks: tuple[Walk, ...]
    there_is_fen: float


class FreeMonth(NamedTuple):
    cycle: str
    free_fen: int


EVERYWHERE = Walk(BEGINNING, NEVER)
WHOLE_ACCOUNT = Plan((EVERYWHERE,), math.inf)


def is_promised(account_id: int, free: Free) -> bool:
    return any(key.account_id == account_id for key in free)


def goes_by_month(command: Selection, account_id: int, free: Free) -> bool:
    """Whether there may be a million open items beside what is asked for: of other months and subjects, or promised and not allocated."""
    return bool(command.cycles or command.subject) or is_promised(account_id, free)


def month_by_month(months: Sequence[FreeMonth], promised: bool) -> Plan:
    """Look in the months that have something free, until that much is found; then everywhere, for a bill may lie outside its own month.

    A promise is on the sum, and any of its items will do. The items in which the large reservation is busy are waited for only if there
    is not enough without them, or one would wait for step after step.
    """
    spans = [(month_start(month.cycle), month_start(next_cycle(month.cycle))) for month in months]
    rounds = (True, False) if promised else (False,)
    walks = [Walk(*span, passes_by) for passes_by in rounds for span in spans]
    return Plan((*walks, EVERYWHERE), sum(month.free_fen for month in months))


# chunk by chunk


class SeenItem(NamedTuple):
    """An open item, read without a lock."""

    item_id: int
    account_id: int
    subject: str
    cycle: str
    content: str
    opens_at: datetime
    invoiceable_fen: int
    occurred_at: datetime

    @property
    def sum_key(self) -> SumKey:
        return SumKey(self.account_id, self.subject, self.cycle, self.content, self.opens_at)


@dataclass(frozen=True)
class Choice:
    """Which items to lock, how many of them at most, and where to go on afterwards."""

    item_ids: Sequence[int]
    items_max: int
    after: tuple[datetime, int]


@dataclass(frozen=True)
class Search:
    """How far the search has come. Without `need_fen` all there is is wanted; of a sum in `free` no more can be used than is free of it."""

    need_fen: int | None
    free: Free
    found: Mapping[int, Candidate] = field(default_factory=dict)
    have_fen: int = 0
    chunk_items: int = field(default_factory=lambda: limits.CHUNK_FIRST)

    def wants_more(self, there_is_fen: float) -> bool:
        wanted_fen = there_is_fen if self.need_fen is None else min(self.need_fen, there_is_fen)
        return len(self.found) <= limits.ITEMS_MAX and self.have_fen < wanted_fen

    def used_up(self, account_id: int) -> list[SumKey]:
        """Sums of which nothing is free any more."""
        return [key for key, fen in self.free.items() if key.account_id == account_id and fen <= 0]

    def choose(self, seen: Sequence[SeenItem], walk: Walk) -> Choice:
        """As many as have the sum, as far as one can see without locks. Where locked items are passed by, any that were seen will do."""
        wanted, last = self._enough(seen)
        tried, last = (seen, seen[-1]) if walk.passes_by else (wanted, last)
        item_ids = [item.item_id for item in tried if item.item_id not in self.found]
        return Choice(item_ids, len(wanted), (last.occurred_at, last.item_id))

    def _enough(self, seen: Sequence[SeenItem]) -> tuple[list[SeenItem], SeenItem]:
        wanted, have_fen, free = [], self.have_fen, dict(self.free)
        for item in seen:
            usable_fen = _use(item.sum_key, item.invoiceable_fen, free) if free else item.invoiceable_fen
            wanted += [item] if usable_fen else []
            have_fen += usable_fen
            if self.need_fen is not None and have_fen >= self.need_fen:
                return wanted, item
        return wanted, seen[-1]

    def having(self, items: Sequence[Candidate]) -> "Search":
        """With these, which are locked now."""
        found = {**self.found, **{item.item_id: item for item in items}}
        have_fen, free = self.have_fen, dict(self.free)
        for item in items:
            have_fen += _use(item.sum_key, item.free_fen, free) if free else item.free_fen
        chunk_items = self._next_chunk(len(found), have_fen)
        return Search(self.need_fen, free, found, have_fen, chunk_items)

    def _next_chunk(self, found: int, have_fen: int) -> int:
        """As many as suffice if the next are like those before, and some more; growing as long as nothing is known of them."""
        if self.need_fen is None or not have_fen:
            return min(self.chunk_items * limits.CHUNK_GROWS, limits.CHUNK_MAX)
        wanted = (self.need_fen - have_fen) * found // have_fen
        return max(limits.CHUNK_FIRST, min(wanted + wanted // 8, limits.CHUNK_MAX))


def _use(key: SumKey, fen: int, free: dict[SumKey, int]) -> int:
    """What of an item can be used, and is from now on."""
    usable_fen = min(fen, free.get(key, fen))
    if key in free:
        free[key] -= usable_fen
    return usable_fen
