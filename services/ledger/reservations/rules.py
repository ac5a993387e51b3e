"""A reservation is exact or refused. The checks come in a fixed order; after the last one the decision must succeed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

from services.ledger.explanation.rules import closed
from services.ledger.intake.rules import NEVER
from services.ledger.journal import limits
from services.ledger.journal.rules import INVOICEABLE, RESERVED, Move
from services.ledger.netting.rules import (
    ALONE,
    POOL,
    Bucket,
    Candidate,
    Offset,
    Owed,
    Pooled,
    SumKey,
    bucket_of,
    by_bucket,
    net,
    paid_fen,
    unpromised,
)
from shared.contracts.ledger import (
    BalanceReserved,
    Group,
    OffsetDeficit,
    OffsetPair,
    Refusal,
    ReservationRefused,
    ReserveBalance,
)
from shared.contracts.message import Message
from shared.domain.catalogue import Catalogue

Answer = BalanceReserved | ReservationRefused
Ask = ReserveBalance | OffsetDeficit
NotItem = str | datetime
"""A refund, by the number of its original; or usage, by the moment before which its bill does not come."""


@dataclass(frozen=True)
class Selected:
    """What an ask selects, locked: its items, the deficits that may bear on them.

    `not_items`: selected numbers that stand for something else.
    """

    items: Sequence[Candidate]
    owed: Sequence[Owed]
    not_items: Mapping[str, NotItem] = field(default_factory=dict)
    free: Mapping[SumKey, int] = field(default_factory=dict)
    """Of sums that are partly promised to a large reservation: what is free of them."""
    pooled: Pooled = ALONE

    @property
    def have_fen(self) -> int:
        return sum(item.free_fen for item in self.items)

    @property
    def have(self) -> dict[Bucket, int]:
        return by_bucket((bucket_of(item, self.pooled), item.free_fen) for item in self.items if item.free_fen)

    def unpromised(self) -> "Selected":
        return replace(self, items=unpromised(self.items, self.free)[0])

    def owed_here(self, have: Mapping[Bucket, int]) -> list[Owed]:
        """Of the accounts and subjects that are selected."""
        return [debt for debt in self.owed if have.get(bucket_of(debt, self.pooled), 0) > 0]


@dataclass(frozen=True)
class Taken:
    item: Candidate
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class Decision:
    """No answer means: too many items for one transaction, to be allocated in steps."""

    answer: Answer | None
    taken: tuple[Taken, ...] = ()
    offsets: tuple[Offset, ...] = ()
    new: bool = True

    @property
    def answers(self) -> list[Message]:
        return [] if self.answer is None else [self.answer]

    def moves(self) -> list[Move]:
        return [] if self.answer is None else list(self._moves(f"request {self.answer.request_id}"))

    def _moves(self, cause: str) -> Iterator[Move]:
        for offset in self.offsets:
            yield from offset.moves(cause)
        for one in self.taken:
            yield Move(one.item.account_id, one.item.item_id, INVOICEABLE, RESERVED, one.amount_fen, cause)


def reserve(
    ask: ReserveBalance, earlier: Decision | None, selected: Selected, reservation_id: int, now: datetime
) -> Decision:
    """Deficits of the selected subjects first, then what is asked for; what is left of nothing is an offset and no invoice (D-11)."""
    if earlier is not None:
        return earlier
    refused = _unselectable(ask, selected, now)
    selected = selected.unpromised()
    have = selected.have
    owed = selected.owed_here(have)
    if refused is None and _is_large(ask, selected, owed):
        return Decision(None)
    refused = refused or short(ask, have, owed, selected.pooled)
    if refused is not None:
        return Decision(refused)
    offsets, left = net(selected.items, owed, pooled=selected.pooled)
    decision = _decided(ask, reservation_id, offsets, _grouped(_take(selected.items, left, ask.amount_fen)))
    assert isinstance(decision.answer, BalanceReserved)
    if len(offsets) > limits.GROUPS_MAX:
        return Decision(too_many_offsets(ask, offsets))
    if len(decision.answer.groups) + len(offsets) > limits.GROUPS_MAX:
        return Decision(too_varied(ask))
    assert ask.amount_fen in (None, decision.answer.total_fen)
    return decision


def _is_large(ask: ReserveBalance, selected: Selected, owed: Sequence[Owed]) -> bool:
    """More items than one transaction takes, and still not all of what is asked for."""
    need_fen = None if ask.amount_fen is None else ask.amount_fen + sum(debt.owed_fen for debt in owed)
    return len(selected.items) > limits.ITEMS_MAX and (need_fen is None or selected.have_fen < need_fen)


def offset(
    ask: OffsetDeficit, earlier: Decision | None, selected: Selected, reservation_id: int, now: datetime
) -> Decision:
    """A deficit paid with consumption that is then not invoiced: the sum asked for, exactly, or refused."""
    if earlier is not None:
        return earlier
    refused = _unselectable(ask, selected, now)
    selected = selected.unpromised()
    owed = [debt for debt in selected.owed if debt.subject == ask.subject]
    deficit_fen = sum(debt.owed_fen for debt in owed)
    need_fen = ask.amount_fen or deficit_fen
    offsets, _ = net(selected.items, owed, most_fen=need_fen, pooled=selected.pooled)
    have_fen = paid_fen(offsets)
    if refused is None and not 0 < need_fen <= deficit_fen:
        refused = refusal(ask, "OFFSET_ABOVE_DEFICIT", subject=ask.subject, need_fen=need_fen, deficit_fen=deficit_fen)
    if refused is None and have_fen < need_fen and len(selected.items) > limits.ITEMS_MAX:
        refused = too_large(ask)
    if refused is None and len(offsets) > limits.GROUPS_MAX:
        refused = too_many_offsets(ask, offsets)
    if refused is None and have_fen < need_fen:
        short_fen = need_fen - have_fen
        figures = {"need_fen": need_fen, "have_fen": have_fen, "shortfall_fen": short_fen, "deficit_fen": deficit_fen}
        refused = refusal(ask, "DEFICIT_NOT_COVERED", subject=ask.subject, **figures)
    return _decided(ask, reservation_id, offsets, []) if refused is None else Decision(refused)


def _decided(ask: Ask, reservation_id: int, offsets: Sequence[Offset], taken: Sequence[Taken]) -> Decision:
    groups = tuple(_group(list(members)) for _, members in groupby(taken, key=lambda one: one.group_no))
    answer = BalanceReserved(
        account_id=ask.account_id,
        request_id=ask.request_id,
        reservation_id=reservation_id,
        groups=groups,
        total_fen=sum(one.amount_fen for one in taken),
        offsets=tuple(map(pair_of, offsets)),
    )
    return Decision(answer, tuple(taken), tuple(offsets))


def _unselectable(ask: Ask, selected: Selected, now: datetime) -> ReservationRefused | None:
    """What is named but cannot be invoiced: the first in the order it was named, then oldest first.

    A refund named beside its original is no trouble: it lowers that in any case.
    """
    if ask.numbers and len(selected.items) > limits.ITEMS_MAX:
        return too_large(ask)
    found = {item.number for item in selected.items}
    for number in ask.numbers:
        if number not in found and selected.not_items.get(number) not in found:
            return _refused_not_item(ask, number, selected.not_items)
    for item in selected.items:
        if item.opens_at > now:
            return refusal(ask, "ITEM_NOT_INVOICEABLE", number=item.number, **_why_not_open(item))
    if ask.numbers and ask.amount_fen is None:
        held = [item for item in selected.items if item.invoiceable_fen <= 0 < item.reserved_fen]
        for item in held or unpromised(selected.items, selected.free)[1]:
            return refusal(ask, "ITEM_LOCKED", number=item.number)
    return None


def _refused_not_item(ask: Ask, number: str, known: Mapping[str, NotItem]) -> ReservationRefused:
    if number not in known:
        return refusal(ask, "ITEM_NOT_INVOICEABLE", number=number, why="UNKNOWN_DOCUMENT")
    what = known[number]
    if isinstance(what, str):
        return refusal(ask, "NEGATIVE_SELECTED_ALONE", number=number)
    why = {"why": "BILL_NOT_SETTLED", "earliest_at": what.isoformat()}
    return refusal(ask, "ITEM_NOT_INVOICEABLE", number=number, **why)


def _why_not_open(item: Candidate) -> dict[str, str]:
    """Whose it is to invoice, if not ours; or when it opens."""
    why = closed(item.opens_at, Catalogue.load().invoiceable_by(item.order_type))
    return {"why": why} | ({"earliest_at": item.opens_at.isoformat()} if item.opens_at < NEVER else {})


def too_large(ask: Ask) -> ReservationRefused:
    return refusal(ask, "SELECTION_TOO_LARGE", items_max=limits.ITEMS_MAX)


def too_varied(ask: Ask) -> ReservationRefused:
    return refusal(ask, "SELECTION_TOO_LARGE", groups_max=limits.GROUPS_MAX)


def too_many_offsets(ask: Ask, offsets: Sequence[Offset]) -> ReservationRefused:
    """`payable_fen` is what one explicit offset can settle: asked for that first, the rest may be few enough."""
    most = limits.GROUPS_MAX
    figures = {"offsets": len(offsets), "offsets_max": most, "payable_fen": paid_fen(offsets[:most])}
    return refusal(ask, "SELECTION_TOO_LARGE", **figures)


def short(
    ask: ReserveBalance, have: Mapping[Bucket, int], owed: Sequence[Owed], pooled: Pooled
) -> ReservationRefused | None:
    """R-3: what is selected must cover the deficits of its subjects and, by amount, the amount as well."""
    deficit_fen, have_fen = sum(debt.owed_fen for debt in owed), sum(have.values())
    need_fen = deficit_fen + ask.amount_fen if ask.amount_fen is not None else max(deficit_fen, 1)
    if have_fen < need_fen and (ask.amount_fen is not None or not deficit_fen):
        reason: Refusal = "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT" if deficit_fen else "INSUFFICIENT_INVOICEABLE"
        figures = {"need_fen": need_fen, "have_fen": have_fen, "shortfall_fen": need_fen - have_fen}
        return refusal(ask, reason, **figures, **({"deficit_fen": deficit_fen} if deficit_fen else {}))
    for bucket, fen in by_bucket((bucket_of(debt, pooled), debt.owed_fen) for debt in owed).items():
        if have[bucket] < fen:
            figures = {"deficit_fen": fen, "have_fen": have[bucket], "shortfall_fen": fen - have[bucket]}
            whose = {"owing_account_id": bucket[0]} if len(ask.accounts) > 1 and bucket[0] != POOL else {}
            return refusal(ask, "DEFICIT_NOT_COVERED", subject=bucket[1], **figures, **whose)
    return None


def refusal(ask: Ask, reason: Refusal, **detail: int | str) -> ReservationRefused:
    return ReservationRefused(account_id=ask.account_id, request_id=ask.request_id, reason=reason, detail=detail)


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


def _grouped(amounts: Sequence[tuple[Candidate, int]]) -> list[Taken]:
    """Numbered in a fixed order; inside a group oldest first, as they came."""
    ordered = sorted(amounts, key=lambda one: _print_key(one[0]))
    groups = groupby(ordered, key=lambda one: _print_key(one[0]))
    return [Taken(item, number, fen) for number, (_, members) in enumerate(groups, 1) for item, fen in members]


def _print_key(item: Candidate) -> tuple[int, str, str, int, str, str]:
    return item.account_id, item.subject, item.content, item.tax_percent, item.cycle, item.spec or ""


def _group(members: Sequence[Taken]) -> Group:
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
