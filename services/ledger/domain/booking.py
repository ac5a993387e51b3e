"""What becomes of a reservation: parts are issued, or their amounts come back. A document that exists counts in any state."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.ledger.domain.moves import INVOICEABLE, INVOICED, OFFSET, RESERVED, Move
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
class Paid:
    """What the reservation paid of a deficit, and may take back."""

    owner_id: int
    from_item_id: int
    to_item_id: int
    amount_fen: int


@dataclass(frozen=True)
class Holding:
    """All of a reservation, its items and offsets locked."""

    items: Sequence[Held] = ()
    paid: Sequence[Paid] = ()


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
    undone: bool = False
    """Nothing was invoiced and nothing is held any more: its offsets were taken back."""


def book(before: str | None, wanted: str, fact: PartFact, held: Holding) -> Booking:
    """The part's shares, taken oldest first from what is still reserved; a late document takes back what was released."""
    if (before, wanted) not in COUNTS:
        return Booking()
    cause = f"part {fact.part_id}"
    moves, booked = [], []
    for share in fact.shares:
        for item, from_bucket, amount in _allocate(share, held.items, late=wanted == "issued"):
            to_bucket = INVOICED if wanted == "issued" else INVOICEABLE
            moves.append(Move(item.owner_id, item.item_id, from_bucket, to_bucket, amount, cause))
            released = amount if wanted == "released" else (-amount if from_bucket == INVOICEABLE else 0)
            booked.append(Booked(item.item_id, amount if wanted == "issued" else 0, released))
    return _undone_if_nothing_is_left(Booking(tuple(moves), _by_item(booked)), held, cause)


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
    ask: ReleaseReservation, reservation_id: int | None, held: Holding
) -> tuple[Booking, list[ReservationReleased]]:
    """Everything the request still holds."""
    cause = f"release of request {ask.request_id}"
    still = [item for item in held.items if item.left_fen > 0]
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
    return _undone_if_nothing_is_left(Booking(moves, booked), held, cause), [answer]


def _undone_if_nothing_is_left(made: Booking, held: Holding, cause: str) -> Booking:
    """A request that comes to nothing leaves the deficits as they were; once something of it is invoiced, they stay paid (D-19)."""
    left_fen = sum(item.left_fen for item in held.items) - sum(
        one.invoiced_fen + one.released_fen for one in made.booked
    )
    invoiced_fen = sum(item.invoiced_fen for item in held.items) + sum(one.invoiced_fen for one in made.booked)
    if left_fen or invoiced_fen or not held.paid:
        return made
    back = [move for one in held.paid for move in _take_back(one, cause)]
    return Booking((*made.moves, *back), made.booked, undone=True)


def _take_back(paid: Paid, cause: str) -> tuple[Move, Move]:
    return (
        Move(paid.owner_id, paid.to_item_id, INVOICEABLE, OFFSET, paid.amount_fen, cause),
        Move(paid.owner_id, paid.from_item_id, OFFSET, INVOICEABLE, paid.amount_fen, cause),
    )


def _by_item(booked: Sequence[Booked]) -> tuple[Booked, ...]:
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in booked:
        sums[one.item_id][0] += one.invoiced_fen
        sums[one.item_id][1] += one.released_fen
    return tuple(Booked(item_id, *amounts) for item_id, amounts in sums.items())
