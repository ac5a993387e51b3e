"""A reservation over more items than one transaction should touch: its sums are held at once, its items follow in bounded steps.

From the moment the sums are held, nobody else can have the amount: what is not yet allocated is promised. A refund may meanwhile take
from an item what was promised: then the reservation can't be exact any more, and is refused after all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from services.ledger.booking.tasks import BookingTask, release_task
from services.ledger.journal import limits
from services.ledger.journal.rules import BEGINNING, Move
from services.ledger.journal.sums import SumKey
from services.ledger.netting.rules import Offset, by_scope, net, paid_fen, scope_of, unpromised
from services.ledger.reservations.refusals import refusal, short, too_large, too_varied
from services.ledger.selections.rules import Selected
from shared.contracts.ledger import BalanceReserved, Group, OffsetPair, ReservationRefused, ReserveBalance
from shared.domain.refusals import Refusal


@dataclass(frozen=True)
class LargeReservation:
    """One in work."""

    account_id: int
    request_id: int
    reservation_id: int
    command_text: str
    traceparent: str | None

    @cached_property
    def command(self) -> ReserveBalance:
        """Read when it is worked on: one that cannot be read is the trouble of this reservation only."""
        return ReserveBalance.model_validate_json(self.command_text)

    @property
    def cause(self) -> str:
        return f"request {self.request_id}"

    def __str__(self) -> str:
        return f"{self.cause} of account {self.account_id}"


# holding the sums


class FreeSum(NamedTuple):
    key: SumKey
    free_fen: int


class EndingMonth(NamedTuple):
    """The month in which an amount ends, and how much of it is left for that month."""

    account_id: int
    cycle: str
    left_fen: int


NO_MONTH = EndingMonth(0, "", 0)
"""All that is free is asked for, or more."""


@dataclass(frozen=True)
class HeldSums:
    """What of each sum is promised, and the deficits that are paid."""

    promises: tuple[tuple[SumKey, int], ...] = ()
    offsets: tuple[Offset, ...] = ()

    def moves(self, large: LargeReservation) -> list[Move]:
        return [move for offset in self.offsets for move in offset.moves(large.cause)]


def month_by_month(
    command: ReserveBalance, sums: Sequence[FreeSum], of_products: Mapping[SumKey, int]
) -> list[FreeSum]:
    """What is free of the selection, in the order in which it is taken. `of_products`: what the items of its products have, if only
    some are selected.
    """
    if command.products:
        sums = [FreeSum(key, min(fen, of_products.get(key, 0))) for key, fen in sums]
    free = [one for one in sums if one.free_fen > 0]
    return sorted(free, key=lambda one: (one.key.account_id, one.key.cycle, one.key.subject, one.key.content))


def ending_month(command: ReserveBalance, free: Sequence[FreeSum]) -> EndingMonth:
    """`free` is month by month."""
    left = command.amount_fen or 0
    for (account_id, cycle), members in groupby(free, key=lambda one: (one.key.account_id, one.key.cycle)):
        month_fen = sum(one.free_fen for one in members)
        if 0 < left < month_fen:
            return EndingMonth(account_id, cycle, left)
        left -= month_fen
    return NO_MONTH


def hold(
    command: ReserveBalance, payers: Selected, free: Sequence[FreeSum], oldest: Mapping[SumKey, int]
) -> HeldSums | ReservationRefused:
    """All that is free, or the amount month by month, after the deficits of the same subjects. `free` is in that order; of the month in
    which the amount ends, first what is `oldest` (R-4).

    What pays a deficit comes out of what is free of the same sums, never out of what another large reservation was promised.
    """
    have = by_scope((scope_of(key, payers.pooled), fen) for key, fen in free)
    owed = payers.owed_here(have)
    refused = short(command, have, owed, payers.pooled)
    of_free = {item.sum_key: 0 for item in payers.items} | dict(free)
    offsets, _ = net(unpromised(payers.items, of_free)[0], owed, pooled=payers.pooled)
    if refused is None and (
        len(offsets) > limits.OFFSETS_MAX or paid_fen(offsets) < sum(debt.owed_fen for debt in owed)
    ):
        refused = too_large(command)
    if refused is not None:
        return refused
    rest = Counter(dict(free))
    for offset in offsets:
        rest[offset.from_item.sum_key] -= offset.amount_fen
    return HeldSums(tuple(_promised(+rest, command.amount_fen, oldest).items()), tuple(offsets))


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


# allocating in steps


Print = tuple[int, str | None]
"""Rate and spec: by these, items of one sum may print as different groups."""


class PickedItem(NamedTuple):
    """An open item of a promised sum, oldest first. A tuple, for there may be millions."""

    item_id: int
    occurred_at: datetime
    free_fen: int
    print: Print


@dataclass(frozen=True)
class Promise:
    """What of a sum is held for a reservation and not allocated yet, and how far its items were looked at."""

    reservation: LargeReservation
    key: SumKey
    promised_fen: int
    after_at: datetime
    after_id: int

    @property
    def traceparent(self) -> str | None:
        return self.reservation.traceparent

    def __str__(self) -> str:
        return f"{self.key} of {self.reservation}"


class StepAllocation(NamedTuple):
    item_id: int
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class AllocationStep:
    """One bounded step. `groups` count what this step adds. `short`: no item has anything left, and all were looked at; or there
    are more groups than an answer can hold."""

    allocations: Sequence[StepAllocation]
    groups: tuple[Group, ...]
    promised_fen: int
    after_at: datetime
    after_id: int
    short: bool


def group_numbers(promise: Promise, known: Sequence[Group]) -> dict[Print, int]:
    """The numbers of the groups that items of this sum print in."""
    key = promise.key
    of_this = (key.account_id, key.subject, key.content, key.cycle)
    return {
        (one.tax_percent, one.spec): one.group_no
        for one in known
        if (one.account_id, one.subject, one.content, one.cycle) == of_this
    }


def prints_differently(promise: Promise, picked: Sequence[PickedItem], known: Sequence[Group]) -> bool:
    """Whether something of these items prints in another way than all that was allocated before."""
    return not {item.print for item in picked} <= group_numbers(promise, known).keys()


def allocate(promise: Promise, picked: Sequence[PickedItem], known: Sequence[Group]) -> AllocationStep:
    """As much of the promise as these items hold, each group under the number it has or the next free one.

    After the last item it begins again from the oldest: meanwhile something may have come back.
    """
    numbers, used = group_numbers(promise, known), len(known)
    left = promise.promised_fen
    allocations: list[StepAllocation] = []
    added: dict[Print, list[tuple[PickedItem, int]]] = {}
    for item in picked:
        amount = min(item.free_fen, left)
        if not amount:
            break
        if item.print not in numbers:
            used += 1
            numbers[item.print] = used
        allocations.append(StepAllocation(item.item_id, numbers[item.print], amount))
        added.setdefault(item.print, []).append((item, amount))
        left -= amount
    groups = tuple(_group(numbers[one], promise.key, taken) for one, taken in added.items())
    after = (picked[-1].occurred_at, picked[-1].item_id) if picked else (BEGINNING, 0)
    short = (not picked and promise.after_id == 0) or used > limits.GROUPS_MAX
    return AllocationStep(allocations, groups, left, *after, short)


def _group(number: int, key: SumKey, taken: Sequence[tuple[PickedItem, int]]) -> Group:
    """What this step adds to a group; the oldest comes first."""
    oldest, _ = taken[0]
    tax_percent, spec = oldest.print
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


# the answer


@dataclass(frozen=True)
class RefusedAfterAll:
    """Something was allocated and goes back."""

    answer: ReservationRefused
    back: BookingTask


def answer(
    large: LargeReservation, missing_fen: int, groups: Sequence[Group], offsets: Sequence[OffsetPair]
) -> BalanceReserved | RefusedAfterAll:
    """Once every fen is allocated. A refund may have taken what was promised, or it would print as too many lines."""
    held_fen = sum(group.amount_fen for group in groups)
    if not missing_fen and len(groups) <= limits.GROUPS_MAX:
        return BalanceReserved(
            account_id=large.account_id,
            request_id=large.request_id,
            reservation_id=large.reservation_id,
            groups=tuple(groups),
            total_fen=held_fen,
            offsets=tuple(offsets),
        )
    back = release_task(large.account_id, large.request_id, large.reservation_id)
    if len(groups) > limits.GROUPS_MAX:
        return RefusedAfterAll(too_varied(large.command), back)
    figures = {"need_fen": held_fen + missing_fen, "have_fen": held_fen, "shortfall_fen": missing_fen}
    return RefusedAfterAll(refusal(large.command, Refusal.INSUFFICIENT_INVOICEABLE, **figures), back)
