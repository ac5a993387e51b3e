"""What becomes of a reservation: parts are issued, or their amounts come back. A document that exists counts in any state."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.ledger.domain.moves import INVOICEABLE, INVOICED, OFFSET, RESERVED, Move
from shared.contracts.invoicing import PartFact
from shared.contracts.ledger import ReleaseReservation, ReservationReleased

COUNTS = {(None, "issued"), (None, "released"), ("released", "issued")}
"""(booked before, wanted now): everything else has been said already, or comes too late to matter."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a reservation took of one item, and what became of it; in the order in which it was taken."""

    owner_id: int
    item_id: int
    group_no: int
    place: int
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
    """A reservation's items and offsets, locked. Of a large one some items; the rest of it is counted."""

    items: Sequence[Held] = ()
    paid: Sequence[Paid] = ()
    other_left_fen: int = 0
    other_invoiced_fen: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be booked on a reservation: amounts by group, or all that is left. `answers` is a request that waits for a word."""

    account_id: int
    reservation_id: int
    wanted: str
    cause: str
    shares: dict[int, int] | None
    answers: int | None = None


@dataclass(frozen=True)
class Waiting:
    """An order on a large reservation: what is left of it, and how far it came."""

    order: Order
    booking_id: int
    released_fen: int
    after_place: int
    traceparent: str | None


@dataclass(frozen=True)
class Chunk:
    """The items of one step, and whether they are the last."""

    holding: Holding
    last: bool


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
    shares_left: dict[int, int] | None = None
    undone: bool = False
    """Nothing was invoiced and nothing is held any more: its offsets were taken back."""

    @property
    def released_fen(self) -> int:
        return sum(one.released_fen for one in self.booked)


def part_order(before: str | None, wanted: str, fact: PartFact) -> Order | None:
    """None when it does not count any more."""
    if (before, wanted) not in COUNTS:
        return None
    shares = {share.group_no: share.amount_fen for share in fact.shares}
    return Order(fact.account_id, fact.reservation_id, wanted, f"part {fact.part_id}", shares)


def release_order(ask: ReleaseReservation, reservation_id: int | None) -> Order | None:
    """Everything the request still holds; nothing of one that was never reserved."""
    if reservation_id is None:
        return None
    cause = f"release of request {ask.request_id}"
    return Order(ask.account_id, reservation_id, "released", cause, None, answers=ask.request_id)


def book(order: Order | None, held: Holding) -> Booking:
    """In the order in which it was taken; a late document takes back what was released."""
    if order is None:
        return Booking()
    left = None if order.shares is None else dict(order.shares)
    moves, booked = [], []
    for item in held.items:
        for from_bucket, amount in _from(item, order.wanted, left):
            moves.append(_move(item, from_bucket, order, amount))
            invoiced = amount if order.wanted == "issued" else 0
            released = amount - invoiced if from_bucket == RESERVED else -amount
            booked.append(Booked(item.item_id, invoiced, released))
            if left is not None:
                left[item.group_no] -= amount
    made = Booking(tuple(moves), tuple(booked), left)
    return _undone_if_nothing_is_left(made, held, order.cause)


def _from(item: Held, wanted: str, left: dict[int, int] | None) -> Iterator[tuple[str, int]]:
    """Out of which bucket how much of an item: first what is reserved, then, for a document, what was released before."""
    want_fen = item.reserved_fen if left is None else left.get(item.group_no, 0)
    reserved_fen = min(want_fen, item.left_fen)
    back_fen = min(want_fen - reserved_fen, item.released_fen) if wanted == "issued" else 0
    if reserved_fen > 0:
        yield RESERVED, reserved_fen
    if back_fen > 0:
        yield INVOICEABLE, back_fen


def _move(item: Held, from_bucket: str, order: Order, amount_fen: int) -> Move:
    to_bucket = INVOICED if order.wanted == "issued" else INVOICEABLE
    return Move(item.owner_id, item.item_id, from_bucket, to_bucket, amount_fen, order.cause)


def released(order: Order | None, released_fen: int, done: bool = True) -> list[ReservationReleased]:
    """The word to whoever asked for a release, once all is back."""
    if order is None or order.answers is None or not done:
        return []
    common = {"account_id": order.account_id, "request_id": order.answers, "reservation_id": order.reservation_id}
    return [ReservationReleased.model_validate(common | {"released_fen": released_fen})]


def _undone_if_nothing_is_left(made: Booking, held: Holding, cause: str) -> Booking:
    """A request that comes to nothing leaves the deficits as they were; once something of it is invoiced, they stay paid (D-19)."""
    now_invoiced = sum(one.invoiced_fen for one in made.booked)
    left_fen = held.other_left_fen + sum(item.left_fen for item in held.items) - now_invoiced - made.released_fen
    invoiced_fen = held.other_invoiced_fen + sum(item.invoiced_fen for item in held.items) + now_invoiced
    if left_fen or invoiced_fen or not held.paid:
        return made
    back = [move for one in held.paid for move in _take_back(one, cause)]
    return Booking((*made.moves, *back), made.booked, made.shares_left, undone=True)


def _take_back(paid: Paid, cause: str) -> tuple[Move, Move]:
    return (
        Move(paid.owner_id, paid.to_item_id, INVOICEABLE, OFFSET, paid.amount_fen, cause),
        Move(paid.owner_id, paid.from_item_id, OFFSET, INVOICEABLE, paid.amount_fen, cause),
    )
