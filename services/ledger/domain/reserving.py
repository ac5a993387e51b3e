"""A reservation is exact or refused. The checks come in a fixed order; after the last one the decision must succeed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from services.ledger.domain.moves import INVOICEABLE, RESERVED, Move
from shared.contracts.ledger import BalanceReserved, Group, Refusal, ReservationRefused, ReserveBalance

ITEMS_MAX = 2000
"""Items one reservation may take. More is refused as SELECTION_TOO_LARGE."""

Answer = BalanceReserved | ReservationRefused


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that the selection names, oldest first."""

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


@dataclass(frozen=True)
class Surroundings:
    """What else bears on a selection: numbers that are refunds, and open deficits by account and subject (positive fen)."""

    refund_numbers: frozenset[str]
    deficits: dict[tuple[int, str], int]


@dataclass(frozen=True)
class Taken:
    item: Candidate
    group_no: int
    amount_fen: int


@dataclass(frozen=True)
class Decision:
    answer: Answer
    taken: tuple[Taken, ...] = ()
    new: bool = True

    def moves(self) -> list[Move]:
        return [
            Move(
                one.item.account_id,
                one.item.item_id,
                INVOICEABLE,
                RESERVED,
                one.amount_fen,
                f"request {self.answer.request_id}",
            )
            for one in self.taken
        ]


def reserve(
    ask: ReserveBalance,
    earlier: Answer | None,
    candidates: Sequence[Candidate],
    around: Surroundings,
    reservation_id: int,
    now: datetime,
) -> Decision:
    """Offsetting a deficit is not offered yet: a selection in a subject with a deficit is refused, rather than invoiced in full."""
    if earlier is not None:
        return Decision(earlier, new=False)
    refused = _refusal(ask, candidates, around, now)
    if refused is not None:
        return Decision(refused)
    taken = _grouped(_take(candidates, ask.amount_fen))
    groups = tuple(_group(list(members)) for _, members in groupby(taken, key=lambda one: one.group_no))
    answer = BalanceReserved(
        account_id=ask.account_id,
        request_id=ask.request_id,
        reservation_id=reservation_id,
        groups=groups,
        total_fen=sum(one.amount_fen for one in taken),
    )
    assert ask.amount_fen in (None, answer.total_fen)
    return Decision(answer, tuple(taken))


def _refusal(
    ask: ReserveBalance, candidates: Sequence[Candidate], around: Surroundings, now: datetime
) -> ReservationRefused | None:
    found = {item.number for item in candidates}
    for number in ask.numbers:
        if number not in found:
            if number in around.refund_numbers:
                return _refused(ask, "NEGATIVE_SELECTED_ALONE", number=number)
            return _refused(ask, "ITEM_NOT_INVOICEABLE", number=number)
    for item in candidates:
        if item.opens_at > now:
            return _refused(ask, "ITEM_NOT_INVOICEABLE", number=item.number, opens_at=item.opens_at.isoformat())
    for item in candidates:
        if deficit := around.deficits.get((item.account_id, item.subject), 0):
            return _refused(ask, "DEFICIT_NOT_COVERED", subject=item.subject, deficit_fen=deficit)
    if ask.amount_fen is None:
        for item in candidates:
            if item.invoiceable_fen <= 0 < item.reserved_fen and ask.numbers:
                return _refused(ask, "ITEM_LOCKED", number=item.number)
    have_fen = sum(max(item.invoiceable_fen, 0) for item in candidates[:ITEMS_MAX])
    need_fen = ask.amount_fen or 1
    if have_fen < need_fen and len(candidates) <= ITEMS_MAX:
        short_fen = need_fen - have_fen
        return _refused(ask, "INSUFFICIENT_INVOICEABLE", need_fen=need_fen, have_fen=have_fen, shortfall_fen=short_fen)
    if have_fen < need_fen or (ask.amount_fen is None and len(candidates) > ITEMS_MAX):
        return _refused(ask, "SELECTION_TOO_LARGE", items_max=ITEMS_MAX)
    return None


def _refused(ask: ReserveBalance, reason: Refusal, **detail: int | str) -> ReservationRefused:
    return ReservationRefused(account_id=ask.account_id, request_id=ask.request_id, reason=reason, detail=detail)


def _take(candidates: Sequence[Candidate], amount_fen: int | None) -> list[tuple[Candidate, int]]:
    """The whole of each, or the oldest first up to the amount (R-4)."""
    taken, left = [], amount_fen
    for item in candidates:
        amount = max(item.invoiceable_fen, 0) if left is None else min(max(item.invoiceable_fen, 0), left)
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
