"""A reservation over more items than one transaction should touch: its sums are held at once, its items follow in bounded steps.

From the moment the sums are held, nobody else can have the amount; what is not yet taken from items is the remainder. A refund
may meanwhile take from an item what was promised: then the reservation can't be exact any more, and is refused after all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from services.ledger.booking.rules import Order
from services.ledger.intake.rules import BEGINNING
from services.ledger.journal import limits
from services.ledger.journal.rules import Move
from services.ledger.netting.rules import Offset, SumKey, bucket_of, by_bucket, net, paid_fen, unpromised
from services.ledger.reservations.rules import Answer, Selected, refusal, short, too_large, too_varied
from shared.contracts.ledger import BalanceReserved, Group, OffsetPair, ReservationRefused, ReserveBalance


@dataclass(frozen=True)
class Allocation:
    """A large reservation in work."""

    account_id: int
    request_id: int
    reservation_id: int
    asked: str
    traceparent: str | None

    @cached_property
    def ask(self) -> ReserveBalance:
        """Read when it is worked on: one that cannot be read is the trouble of this reservation only."""
        return ReserveBalance.model_validate_json(self.asked)

    def __str__(self) -> str:
        return f"request {self.request_id} of account {self.account_id}"


@dataclass(frozen=True)
class Hold:
    """What of each sum is promised; or the refusal."""

    promises: tuple[tuple[SumKey, int], ...] = ()
    offsets: tuple[Offset, ...] = ()
    refused: ReservationRefused | None = None

    @property
    def answers(self) -> list[Answer]:
        return [] if self.refused is None else [self.refused]

    def moves(self, job: Allocation) -> list[Move]:
        return [move for offset in self.offsets for move in offset.moves(f"request {job.request_id}")]


class End(NamedTuple):
    """The month in which an amount ends, and how much of it is left for that month."""

    account_id: int
    cycle: str
    left_fen: int


@dataclass(frozen=True)
class Foreseen:
    """What of each sum is of the selected products, if only some are; and, of the month in which the amount ends, of its oldest items."""

    of_products: Mapping[SumKey, int] | None
    oldest: Mapping[SumKey, int]


def ends_in(amount_fen: int | None, free: Sequence[tuple[SumKey, int]]) -> End | None:
    """None if all that is free is asked for, or more. `free` is month by month."""
    left = amount_fen or 0
    for (account_id, cycle), members in groupby(free, key=lambda one: (one[0].account_id, one[0].cycle)):
        month_fen = sum(fen for _, fen in members)
        if 0 < left < month_fen:
            return End(account_id, cycle, left)
        left -= month_fen
    return None


def hold(job: Allocation, payers: Selected, free: Sequence[tuple[SumKey, int]], oldest: Mapping[SumKey, int]) -> Hold:
    """All that is free, or the amount month by month, after the deficits of the same subjects. `free` is in that order; of the month in
    which the amount ends, first what is `oldest` (R-4).

    What pays a deficit comes out of what is free of the same sums, never out of what another large reservation was promised.
    """
    have = by_bucket((bucket_of(key, payers.pooled), fen) for key, fen in free)
    refused = short(job.ask, have, payers.owed_here(have), payers.pooled)
    of_free = {item.sum_key: 0 for item in payers.items} | dict(free)
    owed = payers.owed_here(have)
    offsets, _ = net(unpromised(payers.items, of_free)[0], owed, pooled=payers.pooled)
    if refused is None and (
        len(offsets) > limits.OFFSETS_MAX or paid_fen(offsets) < sum(debt.owed_fen for debt in owed)
    ):
        refused = too_large(job.ask)
    if refused is not None:
        return Hold(refused=refused)
    rest = Counter(dict(free))
    for offset in offsets:
        rest[offset.from_item.sum_key] -= offset.amount_fen
    return Hold(tuple(_promised(+rest, job.ask.amount_fen, oldest).items()), tuple(offsets))


def _promised(rest: Counter[SumKey], amount_fen: int | None, oldest: Mapping[SumKey, int]) -> Counter[SumKey]:
    """What seemed oldest may be less by now: the second round takes what is missing."""
    if amount_fen is None:
        return rest
    promised, left = Counter[SumKey](), amount_fen
    for most in (oldest, {}):
        for key, fen in rest.items():
            amount = min(fen - promised[key], most.get(key, left), left)
            promised[key] += amount
            left -= amount
    assert not left, "covered, or refused above"
    return +promised


Alike = tuple[int, str | None]
"""Rate and spec: by these, items of one sum may print as different groups."""


class Picked(NamedTuple):
    """An open item of the sum whose remainder is next, oldest first. A tuple, for there may be millions."""

    item_id: int
    occurred_at: datetime
    free_fen: int
    alike: Alike


@dataclass(frozen=True)
class Remainder:
    """What of a sum is not yet taken from items for a reservation, and how far they were looked at."""

    job: Allocation
    key: SumKey
    remainder_fen: int
    after_at: datetime
    after_id: int

    @property
    def traceparent(self) -> str | None:
        return self.job.traceparent

    def __str__(self) -> str:
        return f"{self.key} of {self.job}"


class Share(NamedTuple):
    """What is taken of one item."""

    item_id: int
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class Step:
    """One bounded step. `groups` count what this step adds. `short`: no item has anything left, and all were looked at; or there
    are more groups than an answer can hold."""

    key: SumKey
    shares: Sequence[Share]
    groups: tuple[Group, ...]
    remainder_fen: int
    after_at: datetime
    after_id: int
    short: bool


def known_alike(remainder: Remainder, known: Sequence[Group]) -> dict[Alike, int]:
    """The numbers of the groups that items of this sum print in."""
    key = remainder.key
    of_this = (key.account_id, key.subject, key.content, key.cycle)
    return {
        (one.tax_percent, one.spec): one.group_no
        for one in known
        if (one.account_id, one.subject, one.content, one.cycle) == of_this
    }


def strange(remainder: Remainder, picked: Sequence[Picked], known: Sequence[Group]) -> bool:
    """Whether something of these items prints in another way than all that was taken before."""
    return not {item.alike for item in picked} <= known_alike(remainder, known).keys()


def take(remainder: Remainder, picked: Sequence[Picked], known: Sequence[Group]) -> Step:
    """As much of the remainder as these items hold, each group under the number it has or the next free one.

    After the last item it begins again from the oldest: meanwhile something may have come back.
    """
    numbers, used = known_alike(remainder, known), len(known)
    left = remainder.remainder_fen
    shares: list[Share] = []
    added: dict[Alike, list[tuple[Picked, int]]] = {}
    for item in picked:
        amount = min(item.free_fen, left)
        if not amount:
            break
        if item.alike not in numbers:
            used += 1
            numbers[item.alike] = used
        shares.append(Share(item.item_id, numbers[item.alike], amount))
        added.setdefault(item.alike, []).append((item, amount))
        left -= amount
    groups = tuple(_group(numbers[alike], remainder.key, taken) for alike, taken in added.items())
    after = (picked[-1].occurred_at, picked[-1].item_id) if picked else (BEGINNING, 0)
    short = (not picked and remainder.after_id == 0) or used > limits.GROUPS_MAX
    return Step(remainder.key, shares, groups, left, *after, short)


def _group(number: int, key: SumKey, taken: Sequence[tuple[Picked, int]]) -> Group:
    """What this step adds to a group; the oldest comes first."""
    oldest, _ = taken[0]
    tax_percent, spec = oldest.alike
    return Group(
        group_no=number,
        account_id=key.account_id,
        subject=key.subject,
        content=key.content,
        tax_percent=tax_percent,
        cycle=key.cycle,
        spec=spec,
        count=len(taken),
        amount_fen=sum(fen for _, fen in taken),
        oldest_at=oldest.occurred_at,
    )


def answered(
    job: Allocation, missing_fen: int, groups: Sequence[Group], offsets: Sequence[OffsetPair]
) -> tuple[Answer, Order | None]:
    """The answer once every fen is taken from an item. A refund may have taken what was promised, or it would print as too many
    lines: then it is refused after all, and what was taken goes back."""
    held_fen = sum(group.amount_fen for group in groups)
    if not missing_fen and len(groups) <= limits.GROUPS_MAX:
        return BalanceReserved(
            account_id=job.account_id,
            request_id=job.request_id,
            reservation_id=job.reservation_id,
            groups=tuple(groups),
            total_fen=held_fen,
            offsets=tuple(offsets),
        ), None
    back = Order(job.account_id, job.reservation_id, "released", f"release of request {job.request_id}", None)
    if len(groups) > limits.GROUPS_MAX:
        return too_varied(job.ask), back
    figures = {"need_fen": held_fen + missing_fen, "have_fen": held_fen, "shortfall_fen": missing_fen}
    return refusal(job.ask, "INSUFFICIENT_INVOICEABLE", **figures), back
