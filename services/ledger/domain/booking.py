"""What becomes of a reservation: parts are issued, or their amounts come back. A document that exists counts in any state."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.ledger.domain.moves import INVOICEABLE, INVOICED, RESERVED, Move
from shared.contracts.invoicing import PartFact, Share
from shared.contracts.ledger import ReleaseReservation, ReservationReleased

COUNTS = {(None, "issued"), (None, "released"), ("released", "issued")}
"""(booked before, wanted now): everything else has been said already, or comes too late to matter."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a reservation took of one item, and what became of it; oldest first."""

    owner_id: int
    item_id: int
    group_no: int
    reserved_fen: int
    invoiced_fen: int
    released_fen: int

    @property
    def left_fen(self) -> int:
        return self.reserved_fen - self.invoiced_fen - self.released_fen


@dataclass(frozen=True, slots=True)
class Booked:
    """How an item's part of the reservation changes."""

    item_id: int
    invoiced_fen: int
    released_fen: int


@dataclass(frozen=True)
class Booking:
    moves: tuple[Move, ...] = ()
    booked: tuple[Booked, ...] = ()


def book(before: str | None, wanted: str, fact: PartFact, held: Sequence[Held]) -> Booking:
    """The part's shares, taken oldest first from what is still reserved; a late document takes back what was released."""
    if (before, wanted) not in COUNTS:
        return Booking()
    cause = f"part {fact.part_id}"
    moves, booked = [], []
    for share in fact.shares:
        for item, from_bucket, amount in _allocate(share, held, late=wanted == "issued"):
            to_bucket = INVOICED if wanted == "issued" else INVOICEABLE
            moves.append(Move(item.owner_id, item.item_id, from_bucket, to_bucket, amount, cause))
            released = amount if wanted == "released" else (-amount if from_bucket == INVOICEABLE else 0)
            booked.append(Booked(item.item_id, amount if wanted == "issued" else 0, released))
    return Booking(tuple(moves), _by_item(booked))


def _allocate(share: Share, held: Sequence[Held], late: bool) -> list[tuple[Held, str, int]]:
    left, taken = share.amount_fen, []
    members = [item for item in held if item.group_no == share.group_no]
    sources = [(item, RESERVED, item.left_fen) for item in members]
    sources += [(item, INVOICEABLE, item.released_fen) for item in members if late]
    for item, bucket, available in sources:
        amount = min(left, available)
        if amount > 0:
            taken.append((item, bucket, amount))
            left -= amount
    assert left == 0 or not late, "a document is for what was reserved for it"
    return taken


def release(
    ask: ReleaseReservation, reservation_id: int | None, held: Sequence[Held]
) -> tuple[Booking, list[ReservationReleased]]:
    """Everything the request still holds."""
    cause = f"release of request {ask.request_id}"
    still = [item for item in held if item.left_fen > 0]
    moves = tuple(Move(one.owner_id, one.item_id, RESERVED, INVOICEABLE, one.left_fen, cause) for one in still)
    booked = tuple(Booked(one.item_id, 0, one.left_fen) for one in still)
    if reservation_id is None:
        return Booking(), []
    answer = ReservationReleased(
        account_id=ask.account_id,
        request_id=ask.request_id,
        reservation_id=reservation_id,
        released_fen=sum(move.amount_fen for move in moves),
    )
    return Booking(moves, booked), [answer]


def _by_item(booked: Sequence[Booked]) -> tuple[Booked, ...]:
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in booked:
        sums[one.item_id][0] += one.invoiced_fen
        sums[one.item_id][1] += one.released_fen
    return tuple(Booked(item_id, *amounts) for item_id, amounts in sums.items())
