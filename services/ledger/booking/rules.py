"""What becomes of a reservation: parts are issued and perhaps credited, or their amounts come back. A document that exists counts
in any state; a credit note gives back what its invoice took, item by item, and leaves the deficits paid that were paid (D-19).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.ledger.journal.rules import INVOICEABLE, INVOICED, OFFSET, RESERVED, Move
from shared.contracts.invoicing import PartFact
from shared.contracts.ledger import AmountCredited, AmountInvoiced, LedgerFact, ReleaseReservation, ReservationReleased
from shared.contracts.message import Unacceptable

COUNTS = {(None, "issued"), (None, "released"), ("released", "issued"), ("issued", "credited")}
"""(booked before, wanted now): everything else has been said already, or comes too late to matter."""
TOO_EARLY = {(None, "credited"), ("released", "credited")}
CAUSES = {"issued": "part {}", "released": "part {}", "credited": "credit of part {}"}
PASSES = {"issued": (RESERVED, INVOICEABLE), "released": (RESERVED,), "credited": (INVOICED,)}
"""Out of which buckets, one after the other over all items: a document first takes all that is still held, then what was released."""
FACTS = {"issued": AmountInvoiced, "credited": AmountCredited}


@dataclass(frozen=True, slots=True)
class Held:
    """A share: what a reservation took of an item, and what became of it; in the order in which it was taken.

    `invoiced_fen` never falls, also when something is credited. `creditable_fen` is what the invoice to be credited took.
    """

    owner_id: int
    item_id: int
    group_no: int
    place: int
    reserved_fen: int
    invoiced_fen: int
    released_fen: int
    creditable_fen: int = 0

    @property
    def left_fen(self) -> int:
        return self.reserved_fen - self.invoiced_fen - self.released_fen

    def has(self, bucket: str) -> int:
        """What an order may take out of a bucket of it."""
        return {RESERVED: self.left_fen, INVOICEABLE: self.released_fen, INVOICED: self.creditable_fen}[bucket]


@dataclass(frozen=True, slots=True)
class Paid:
    """What the reservation paid of a deficit, and may take back."""

    owner_id: int
    from_item_id: int
    to_owner_id: int
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
    """What is to be booked on a reservation: amounts by group for a part, or all that is left.

    `answers` is a request that waits for the word that all is back.
    """

    account_id: int
    reservation_id: int
    wanted: str
    cause: str
    shares: dict[int, int] | None
    answers: int | None = None
    request_id: int | None = None
    part_id: int | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Waiting:
    """An order on a large reservation: what is left of it, and how far it came."""

    order: Order
    booking_id: int
    pass_no: int
    moved_fen: int
    after_place: int
    traceparent: str | None

    def __str__(self) -> str:
        return f"{self.order.cause}, reservation {self.order.reservation_id} of account {self.order.account_id}"

    @property
    def bucket(self) -> str:
        return PASSES[self.order.wanted][self.pass_no]

    def after(self, part: "Chunk", made: "Booking") -> "Waiting | None":
        """Where the next step goes on; None when all is booked."""
        order = replace(self.order, shares=made.shares_left)
        moved_fen = self.moved_fen + made.moved_fen
        if not part.last:
            return replace(self, order=order, moved_fen=moved_fen, after_place=part.holding.items[-1].place)
        if self.pass_no + 1 < len(PASSES[order.wanted]) and any((made.shares_left or {}).values()):
            return replace(self, order=order, moved_fen=moved_fen, after_place=-1, pass_no=self.pass_no + 1)
        return None


@dataclass(frozen=True)
class Chunk:
    """The items of one step, and whether they are the last."""

    holding: Holding
    last: bool


@dataclass(frozen=True, slots=True)
class Booked:
    """How a share of the reservation changes."""

    place: int
    invoiced_fen: int
    released_fen: int
    credited_fen: int


@dataclass(frozen=True)
class Booking:
    moves: tuple[Move, ...] = ()
    booked: tuple[Booked, ...] = ()
    shares_left: dict[int, int] | None = None
    undone: bool = False
    """Nothing was invoiced and nothing is held any more: its offsets were taken back."""

    moved_fen: int = 0
    """What changed its bucket as the order wanted."""


def part_order(before: str | None, wanted: str, fact: PartFact) -> Order | None:
    """None when it does not count any more."""
    if (before, wanted) in TOO_EARLY:
        text = f"part {fact.part_id} is credited and was never booked as issued; redrive its InvoiceIssued first, then this"
        raise Unacceptable("CREDIT_BEFORE_ISSUE", text)
    if (before, wanted) not in COUNTS:
        return None
    shares = {share.group_no: share.amount_fen for share in fact.shares}
    return Order(
        fact.account_id,
        fact.reservation_id,
        wanted,
        CAUSES[wanted].format(fact.part_id),
        shares,
        request_id=fact.request_id,
        part_id=fact.part_id,
        subject=fact.subject,
    )


def release_order(ask: ReleaseReservation, reservation_id: int | None) -> Order | None:
    """Everything the request still holds; nothing of one that was never reserved."""
    if reservation_id is None:
        return None
    cause = f"release of request {ask.request_id}"
    return Order(ask.account_id, reservation_id, "released", cause, None, answers=ask.request_id)


def book(order: Order | None, held: Holding, only: str | None = None) -> Booking:
    """Bucket by bucket, in each in the order in which the items were taken; of a large one a step of `only` one bucket."""
    if order is None:
        return Booking()
    left = None if order.shares is None else dict(order.shares)
    moves, booked = [], []
    for bucket in PASSES[order.wanted] if only is None else (only,):
        for item in held.items:
            want_fen = item.reserved_fen if left is None else left.get(item.group_no, 0)
            amount = min(want_fen, item.has(bucket))
            if amount <= 0:
                continue
            moves.append(_move(item, bucket, order, amount))
            booked.append(_booked(item.place, bucket, order.wanted, amount))
            if left is not None:
                left[item.group_no] -= amount
    if only is None:
        all_held(order, {group_no: fen - (left or {})[group_no] for group_no, fen in (order.shares or {}).items()})
    made = Booking(tuple(moves), tuple(booked), left, moved_fen=sum(move.amount_fen for move in moves))
    return made if order.wanted == "credited" else _undone_if_nothing_is_left(made, held, order.cause)


def all_held(order: Order, held: Mapping[int, int]) -> None:
    """Raises `Unacceptable` when a group holds less than a document's shares say."""
    lacking = [group_no for group_no, fen in (order.shares or {}).items() if fen > held.get(group_no, 0)]
    if lacking and order.wanted in FACTS:
        text = f"{order.cause}: groups {lacking} do not hold what its shares say; see who told it"
        raise Unacceptable("SHARES_NOT_HELD", text)


def _booked(place: int, from_bucket: str, wanted: str, amount_fen: int) -> Booked:
    if wanted == "credited":
        return Booked(place, 0, 0, amount_fen)
    if wanted == "released":
        return Booked(place, 0, amount_fen, 0)
    return Booked(place, amount_fen, -amount_fen if from_bucket == INVOICEABLE else 0, 0)


def _move(item: Held, from_bucket: str, order: Order, amount_fen: int) -> Move:
    to_bucket = INVOICED if order.wanted == "issued" else INVOICEABLE
    return Move(item.owner_id, item.item_id, from_bucket, to_bucket, amount_fen, order.cause)


def said(order: Order | None, moved_fen: int, done: bool = True) -> list[LedgerFact]:
    """The word that an order is booked, once all of it is: to whoever asked for a release, or to finance."""
    if order is None or not done or not (moved_fen or order.answers):
        return []
    common = {"account_id": order.account_id, "reservation_id": order.reservation_id}
    if order.answers is not None:
        released = {"request_id": order.answers, "released_fen": moved_fen}
        return [ReservationReleased.model_validate(common | released)]
    if order.wanted not in FACTS:
        return []
    part = {"request_id": order.request_id, "part_id": order.part_id, "subject": order.subject}
    return [FACTS[order.wanted].model_validate(common | part | {"amount_fen": moved_fen})]


def _undone_if_nothing_is_left(made: Booking, held: Holding, cause: str) -> Booking:
    """A request that comes to nothing leaves the deficits as they were; once something of it is invoiced, they stay paid (D-19)."""
    now_invoiced = sum(one.invoiced_fen for one in made.booked)
    now_released = sum(one.released_fen for one in made.booked)
    left_fen = held.other_left_fen + sum(item.left_fen for item in held.items) - now_invoiced - now_released
    invoiced_fen = held.other_invoiced_fen + sum(item.invoiced_fen for item in held.items) + now_invoiced
    if left_fen or invoiced_fen or not held.paid:
        return made
    back = [move for one in held.paid for move in _take_back(one, cause)]
    return replace(made, moves=(*made.moves, *back), undone=True)


def _take_back(paid: Paid, cause: str) -> tuple[Move, Move]:
    return (
        Move(paid.to_owner_id, paid.to_item_id, INVOICEABLE, OFFSET, paid.amount_fen, cause),
        Move(paid.owner_id, paid.from_item_id, OFFSET, INVOICEABLE, paid.amount_fen, cause),
    )
