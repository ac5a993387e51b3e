"""Why a reservation or an offset is refused: the checks, in a fixed order, and the figures that come with each reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.ledger.journal import limits
from services.ledger.journal.rules import NEVER, why_not_open
from services.ledger.netting.rules import (
    POOL,
    Candidate,
    Offset,
    Owed,
    Pooled,
    Scope,
    by_scope,
    paid_fen,
    scope_of,
    unpromised,
)
from services.ledger.selections.rules import NotItem, Selected
from shared.contracts.ledger import ReservationRefused, ReserveBalance, Selection
from shared.domain.catalogue import Catalogue
from shared.domain.refusals import Refusal


def refusal(command: Selection, reason: Refusal, **detail: int | str) -> ReservationRefused:
    return ReservationRefused(
        account_id=command.account_id, request_id=command.request_id, reason=reason, detail=detail
    )


def unselectable(command: Selection, selected: Selected, now: datetime) -> ReservationRefused | None:
    """What is named but cannot be invoiced: the first in the order it was named, then oldest first.

    A refund named beside its original is no trouble: it lowers that in any case.
    """
    if command.numbers and len(selected.items) > limits.ITEMS_MAX:
        return too_large(command)
    found = {item.number for item in selected.items}
    for number in command.numbers:
        if number not in found and selected.not_items.get(number) not in found:
            return _not_an_item(command, number, selected.not_items)
    for item in selected.items:
        if item.opens_at > now:
            return refusal(command, Refusal.ITEM_NOT_INVOICEABLE, number=item.number, **_not_open(item))
    if command.numbers and command.amount_fen is None:
        held = [item for item in selected.items if item.invoiceable_fen <= 0 < item.reserved_fen]
        locked = held or unpromised(selected.items, selected.free)[1]
        if locked:
            return refusal(command, Refusal.ITEM_LOCKED, number=locked[0].number)
    return None


def _not_an_item(command: Selection, number: str, known: Mapping[str, NotItem]) -> ReservationRefused:
    if number not in known:
        return refusal(command, Refusal.ITEM_NOT_INVOICEABLE, number=number, why="UNKNOWN_DOCUMENT")
    what = known[number]
    if isinstance(what, str):
        return refusal(command, Refusal.NEGATIVE_SELECTED_ALONE, number=number)
    why = {"why": "BILL_NOT_SETTLED", "earliest_at": what.isoformat()}
    return refusal(command, Refusal.ITEM_NOT_INVOICEABLE, number=number, **why)


def _not_open(item: Candidate) -> dict[str, str]:
    """Whose it is to invoice, if not ours; or when it opens."""
    why = why_not_open(item.opens_at, Catalogue.load().invoiceable_by(item.order_type))
    return {"why": why} | ({"earliest_at": item.opens_at.isoformat()} if item.opens_at < NEVER else {})


def too_large(command: Selection) -> ReservationRefused:
    return refusal(command, Refusal.SELECTION_TOO_LARGE, items_max=limits.ITEMS_MAX)


def too_varied(command: Selection) -> ReservationRefused:
    return refusal(command, Refusal.SELECTION_TOO_LARGE, groups_max=limits.GROUPS_MAX)


def too_many_offsets(command: Selection, offsets: Sequence[Offset]) -> ReservationRefused:
    """`payable_fen` is what one explicit offset can settle: asked for that first, the rest may be few enough."""
    most = limits.GROUPS_MAX
    figures = {"offsets": len(offsets), "offsets_max": most, "payable_fen": paid_fen(offsets[:most])}
    return refusal(command, Refusal.SELECTION_TOO_LARGE, **figures)


def short(
    command: ReserveBalance, have: Mapping[Scope, int], owed: Sequence[Owed], pooled: Pooled
) -> ReservationRefused | None:
    """R-3: what is selected must cover the deficits of its subjects and, by amount, the amount as well."""
    deficit_fen, have_fen = sum(debt.owed_fen for debt in owed), sum(have.values())
    need_fen = deficit_fen + command.amount_fen if command.amount_fen is not None else max(deficit_fen, 1)
    if have_fen < need_fen and (command.amount_fen is not None or not deficit_fen):
        reason = Refusal.SELECTION_BELOW_AMOUNT_PLUS_DEFICIT if deficit_fen else Refusal.INSUFFICIENT_INVOICEABLE
        figures = {"need_fen": need_fen, "have_fen": have_fen, "shortfall_fen": need_fen - have_fen}
        return refusal(command, reason, **figures, **({"deficit_fen": deficit_fen} if deficit_fen else {}))
    for scope, fen in by_scope((scope_of(debt, pooled), debt.owed_fen) for debt in owed).items():
        if have[scope] < fen:
            figures = {"deficit_fen": fen, "have_fen": have[scope], "shortfall_fen": fen - have[scope]}
            whose = {"owing_account_id": scope[0]} if len(command.accounts) > 1 and scope[0] != POOL else {}
            return refusal(command, Refusal.DEFICIT_NOT_COVERED, subject=scope[1], **figures, **whose)
    return None
