"""A reservation is exact or refused. The checks come in a fixed order; after the last one the decision must succeed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from services.ledger.journal import limits
from services.ledger.journal.rules import INVOICEABLE, RESERVED, Move
from services.ledger.netting.rules import Candidate, Offset, Owed, net, paid_fen
from services.ledger.reservations.refusals import (
    refusal,
    short,
    too_large,
    too_many_offsets,
    too_varied,
    unselectable,
)
from services.ledger.selections.rules import Selected
from shared.contracts.ledger import (
    BalanceReserved,
    Group,
    OffsetDeficit,
    OffsetPair,
    ReservationRefused,
    ReserveBalance,
    Selection,
)
from shared.domain.refusals import Refusal

Answer = BalanceReserved | ReservationRefused


@dataclass(frozen=True)
class Reservation:
    """Of one request. `reservation_id` is None if it was refused and nothing was ever held; `answered` is False while a large one is in
    work; `group_fen` is what a large one holds, by group, as its answer said.
    """

    reservation_id: int | None
    large: bool
    answered: bool
    group_fen: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NewAllocation:
    """What is taken of an item, and in which group it prints."""

    item: Candidate
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class Decision:
    """The answer, and what is held for it."""

    answer: Answer
    allocations: tuple[NewAllocation, ...] = ()
    offsets: tuple[Offset, ...] = ()

    @property
    def reservation_id(self) -> int | None:
        """A request that is refused holds nothing, and needs none."""
        return self.answer.reservation_id if isinstance(self.answer, BalanceReserved) else None

    @property
    def large(self) -> bool:
        """What became of it is booked in steps: it may hold somewhat more items than one transaction takes."""
        return len(self.allocations) > limits.ITEMS_MAX

    def moves(self) -> list[Move]:
        return list(self._moves(f"request {self.answer.request_id}"))

    def _moves(self, cause: str) -> Iterator[Move]:
        for offset in self.offsets:
            yield from offset.moves(cause)
        for one in self.allocations:
            yield Move(one.item.account_id, one.item.item_id, INVOICEABLE, RESERVED, one.amount_fen, cause)


@dataclass(frozen=True)
class Repeated:
    """It was asked before: the answer of then, whoever asks again; none as long as a large one is in work."""

    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class TooManyItems:
    """More items than one transaction may take: a large reservation, which is allocated in steps."""

    command: ReserveBalance
    reservation_id: int


def reserve(
    command: ReserveBalance, earlier: Repeated | None, selected: Selected, reservation_id: int, now: datetime
) -> Decision | Repeated | TooManyItems:
    """Deficits of the selected subjects first, then what is asked for; what is left of nothing is an offset and no invoice (D-11)."""
    if earlier is not None:
        return earlier
    refused = unselectable(command, selected, now)
    selected = selected.unpromised()
    have = selected.have
    owed = selected.owed_here(have)
    if refused is None and _is_large(command, selected, owed):
        return TooManyItems(command, reservation_id)
    refused = refused or short(command, have, owed, selected.pooled)
    if refused is not None:
        return Decision(refused)
    offsets, left = net(selected.items, owed, pooled=selected.pooled)
    decision = _granted(command, reservation_id, offsets, _grouped(_take(selected.items, left, command.amount_fen)))
    assert isinstance(decision.answer, BalanceReserved)
    if len(offsets) > limits.GROUPS_MAX:
        return Decision(too_many_offsets(command, offsets))
    if len(decision.answer.groups) + len(offsets) > limits.GROUPS_MAX:
        return Decision(too_varied(command))
    assert command.amount_fen in (None, decision.answer.total_fen)
    return decision


def _is_large(command: ReserveBalance, selected: Selected, owed: Sequence[Owed]) -> bool:
    """More items than one transaction takes, and still not all of what is asked for."""
    need_fen = None if command.amount_fen is None else command.amount_fen + sum(debt.owed_fen for debt in owed)
    return len(selected.items) > limits.ITEMS_MAX and (need_fen is None or selected.have_fen < need_fen)


def offset(
    command: OffsetDeficit, earlier: Repeated | None, selected: Selected, reservation_id: int, now: datetime
) -> Decision | Repeated:
    """A deficit paid with consumption that is then not invoiced: the sum asked for, exactly, or refused."""
    if earlier is not None:
        return earlier
    refused = unselectable(command, selected, now)
    selected = selected.unpromised()
    owed = [debt for debt in selected.owed if debt.subject == command.subject]
    deficit_fen = sum(debt.owed_fen for debt in owed)
    need_fen = command.amount_fen or deficit_fen
    offsets, _ = net(selected.items, owed, most_fen=need_fen, pooled=selected.pooled)
    have_fen = paid_fen(offsets)
    if refused is None and not 0 < need_fen <= deficit_fen:
        figures = {"need_fen": need_fen, "deficit_fen": deficit_fen}
        refused = refusal(command, Refusal.OFFSET_ABOVE_DEFICIT, subject=command.subject, **figures)
    if refused is None and have_fen < need_fen and len(selected.items) > limits.ITEMS_MAX:
        refused = too_large(command)
    if refused is None and len(offsets) > limits.GROUPS_MAX:
        refused = too_many_offsets(command, offsets)
    if refused is None and have_fen < need_fen:
        short_fen = need_fen - have_fen
        figures = {"need_fen": need_fen, "have_fen": have_fen, "shortfall_fen": short_fen, "deficit_fen": deficit_fen}
        refused = refusal(command, Refusal.DEFICIT_NOT_COVERED, subject=command.subject, **figures)
    return _granted(command, reservation_id, offsets, []) if refused is None else Decision(refused)


def _granted(
    command: Selection, reservation_id: int, offsets: Sequence[Offset], allocations: Sequence[NewAllocation]
) -> Decision:
    groups = tuple(_group(list(members)) for _, members in groupby(allocations, key=lambda one: one.group_no))
    answer = BalanceReserved(
        account_id=command.account_id,
        request_id=command.request_id,
        reservation_id=reservation_id,
        groups=groups,
        total_fen=sum(one.amount_fen for one in allocations),
        offsets=tuple(map(pair_of, offsets)),
    )
    return Decision(answer, tuple(allocations), tuple(offsets))


def _take(
    candidates: Sequence[Candidate], free: Mapping[int, int], amount_fen: int | None
) -> list[tuple[Candidate, int]]:
    """The rest of each, or the oldest first up to the amount (R-4)."""
    taken, left = [], amount_fen
    for item in candidates:
        amount = free[item.item_id] if left is None else min(free[item.item_id], left)
        if amount:
            taken.append((item, amount))
            left = None if left is None else left - amount
    return taken


def _grouped(amounts: Sequence[tuple[Candidate, int]]) -> list[NewAllocation]:
    """Numbered in a fixed order; inside a group oldest first, as they came."""
    ordered = sorted(amounts, key=lambda one: _print_key(one[0]))
    groups = groupby(ordered, key=lambda one: _print_key(one[0]))
    return [NewAllocation(item, number, fen) for number, (_, members) in enumerate(groups, 1) for item, fen in members]


def _print_key(item: Candidate) -> tuple[int, str, str, int, str, str]:
    return item.account_id, item.subject, item.content, item.tax_percent, item.cycle, item.spec or ""


def _group(members: Sequence[NewAllocation]) -> Group:
    first = members[0].item
    return Group(
        group_no=members[0].group_no,
        account_id=first.account_id,
        subject=first.subject,
        content=first.content,
        tax_percent=first.tax_percent,
        cycle=first.cycle,
        spec=first.spec,
        count=len(members),
        amount_fen=sum(one.amount_fen for one in members),
        oldest_at=min(one.item.occurred_at for one in members),
    )


def pair_of(one: Offset) -> OffsetPair:
    return OffsetPair(
        account_id=one.from_item.account_id,
        to_account_id=None if one.to_item.account_id == one.from_item.account_id else one.to_item.account_id,
        subject=one.from_item.subject,
        from_number=one.from_item.number,
        to_number=one.to_item.number,
        amount_fen=one.amount_fen,
    )
