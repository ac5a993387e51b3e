"""A reservation over more items than one transaction should touch: its sums are held at once, its items follow in bounded steps.

From the moment the sums are held, nobody else can have the amount; what is not yet taken from items is the remainder. A refund
may meanwhile take from an item what was promised: then the reservation can't be exact any more, and is refused after all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ledger.domain import limits
from services.ledger.domain.booking import Order
from services.ledger.domain.intake import BEGINNING
from services.ledger.domain.moves import Move
from services.ledger.domain.netting import Offset, SumKey, bucket_of, by_bucket, net, paid_fen, unpromised
from services.ledger.domain.reserving import Answer, Selected, refusal, short, too_large, too_varied
from shared.contracts.ledger import BalanceReserved, Group, OffsetPair, ReservationRefused, ReserveBalance


@dataclass(frozen=True)
class Allocation:
    """A large reservation in work."""

    account_id: int
    request_id: int
    reservation_id: int
    ask: ReserveBalance
    traceparent: str | None


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


def hold(job: Allocation, payers: Selected, free: Sequence[tuple[SumKey, int]]) -> Hold:
    """All that is free, or the amount month by month, after the deficits of the same subjects. `free` is in that order.

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
    spent = Counter[SumKey]()
    for offset in offsets:
        spent[offset.from_item.sum_key] += offset.amount_fen
    promises, left = [], job.ask.amount_fen
    for key, fen in free:
        amount = fen - spent[key] if left is None else min(fen - spent[key], left)
        if amount > 0:
            promises.append((key, amount))
            left = None if left is None else left - amount
    assert not left, "covered, or refused above"
    return Hold(tuple(promises), tuple(offsets))


@dataclass(frozen=True, slots=True)
class Picked:
    """An open item of the sum whose remainder is next, oldest first."""

    item_id: int
    occurred_at: datetime
    spec: str | None
    tax_percent: int
    free_fen: int


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


@dataclass(frozen=True, slots=True)
class Share:
    """What is taken of one item."""

    item_id: int
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class Step:
    """One bounded step. `groups` count what this step adds. `short`: no item has anything left, and all were looked at; or there
    are more groups than an answer can hold."""

    key: SumKey
    shares: tuple[Share, ...]
    groups: tuple[Group, ...]
    remainder_fen: int
    after_at: datetime
    after_id: int
    short: bool


GroupKey = tuple[int, str, str, int, str, str | None]


def strange(remainder: Remainder, picked: Sequence[Picked], known: Sequence[Group]) -> bool:
    """Whether something of these items prints in another way than all that was taken before."""
    return not {_group_key(remainder.key, item) for item in picked} <= {_key_of(group) for group in known}


def take(remainder: Remainder, picked: Sequence[Picked], known: Sequence[Group]) -> Step:
    """As much of the remainder as these items hold, each group under the number it has or the next free one.

    After the last item it begins again from the oldest: meanwhile something may have come back.
    """
    numbers = {_key_of(group): group.group_no for group in known}
    left = remainder.remainder_fen
    shares: list[Share] = []
    counted: dict[GroupKey, list[Picked]] = {}
    for item in picked:
        amount = min(item.free_fen, left)
        if amount <= 0:
            continue
        key = _group_key(remainder.key, item)
        shares.append(Share(item.item_id, numbers.setdefault(key, len(numbers) + 1), amount))
        counted.setdefault(key, []).append(item)
        left -= amount
    groups = tuple(_group(numbers[key], remainder.key, members, shares) for key, members in counted.items())
    after = (picked[-1].occurred_at, picked[-1].item_id) if picked else (BEGINNING, 0)
    short = (not picked and remainder.after_id == 0) or len(numbers) > limits.GROUPS_MAX
    return Step(remainder.key, tuple(shares), groups, left, *after, short)


def _group_key(key: SumKey, item: Picked) -> GroupKey:
    return key.account_id, key.subject, key.content, item.tax_percent, key.cycle, item.spec


def _key_of(group: Group) -> GroupKey:
    return group.account_id, group.subject, group.content, group.tax_percent, group.cycle, group.spec


def _group(number: int, key: SumKey, members: Sequence[Picked], shares: Sequence[Share]) -> Group:
    """What this step adds to a group."""
    return Group(
        group_no=number,
        account_id=key.account_id,
        subject=key.subject,
        content=key.content,
        tax_percent=members[0].tax_percent,
        cycle=key.cycle,
        spec=members[0].spec,
        count=len(members),
        amount_fen=sum(share.amount_fen for share in shares if share.group_no == number),
        oldest_at=min(item.occurred_at for item in members),
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
