"""What becomes of a reservation: parts are issued and perhaps credited, or their amounts come back. An invoice that exists counts
in any state; a credit note gives back what its invoice took, item by item, and leaves the deficits paid that were paid (D-19).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.ledger.booking.tasks import FACTS, BookingTask, check_held
from services.ledger.journal.rules import INVOICEABLE, INVOICED, OFFSET, RESERVED, Move
from shared.contracts.ledger import LedgerFact, ReservationReleased

PASSES = {"issued": (RESERVED, INVOICEABLE), "released": (RESERVED,), "credited": (INVOICED,)}
"""Out of which buckets, one after the other over all items: an invoice first takes all that is still held, then what was released."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What of an item a reservation took, and what became of it; in the order in which it was taken.

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
        """What a task may take out of a bucket of it."""
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
    """A reservation's allocations and offsets, locked. Of a large one some allocations; the rest of it is counted."""

    allocations: Sequence[Allocation] = ()
    paid: Sequence[Paid] = ()
    other_left_fen: int = 0
    other_invoiced_fen: int = 0


@dataclass(frozen=True, slots=True)
class AllocationChange:
    place: int
    invoiced_fen: int
    released_fen: int
    credited_fen: int


@dataclass(frozen=True)
class Booking:
    moves: tuple[Move, ...] = ()
    changes: tuple[AllocationChange, ...] = ()
    shares_left: dict[int, int] | None = None
    undone: bool = False
    """Nothing was invoiced and nothing is held any more: its offsets were taken back."""

    moved_fen: int = 0
    """What changed its bucket as the task wanted."""


def book(task: BookingTask, holding: Holding) -> Booking:
    """All of a task, bucket by bucket, in each in the order in which the items were taken."""
    booking = _book(task, holding, PASSES[task.wanted])
    left = booking.shares_left or {}
    check_held(task, {group_no: fen - left[group_no] for group_no, fen in (task.shares or {}).items()})
    return booking


def _book(task: BookingTask, holding: Holding, buckets: Sequence[str]) -> Booking:
    left = None if task.shares is None else dict(task.shares)
    moves, changes = [], []
    for bucket in buckets:
        for one in holding.allocations:
            want_fen = one.reserved_fen if left is None else left.get(one.group_no, 0)
            amount = min(want_fen, one.has(bucket))
            if amount <= 0:
                continue
            moves.append(_move(one, bucket, task, amount))
            changes.append(_change(one.place, bucket, task.wanted, amount))
            if left is not None:
                left[one.group_no] -= amount
    booking = Booking(tuple(moves), tuple(changes), left, moved_fen=sum(move.amount_fen for move in moves))
    return booking if task.wanted == "credited" else _undone_if_nothing_is_left(booking, holding, task.cause)


def _change(place: int, from_bucket: str, wanted: str, amount_fen: int) -> AllocationChange:
    if wanted == "credited":
        return AllocationChange(place, 0, 0, amount_fen)
    if wanted == "released":
        return AllocationChange(place, 0, amount_fen, 0)
    return AllocationChange(place, amount_fen, -amount_fen if from_bucket == INVOICEABLE else 0, 0)


def _move(one: Allocation, from_bucket: str, task: BookingTask, amount_fen: int) -> Move:
    to_bucket = INVOICED if task.wanted == "issued" else INVOICEABLE
    return Move(one.owner_id, one.item_id, from_bucket, to_bucket, amount_fen, task.cause)


def _undone_if_nothing_is_left(booking: Booking, holding: Holding, cause: str) -> Booking:
    """A request that comes to nothing leaves the deficits as they were; once something of it is invoiced, they stay paid (D-19)."""
    now_invoiced = sum(one.invoiced_fen for one in booking.changes)
    now_released = sum(one.released_fen for one in booking.changes)
    left_fen = holding.other_left_fen + sum(one.left_fen for one in holding.allocations) - now_invoiced - now_released
    invoiced_fen = holding.other_invoiced_fen + sum(one.invoiced_fen for one in holding.allocations) + now_invoiced
    if left_fen or invoiced_fen or not holding.paid:
        return booking
    back = [move for one in holding.paid for move in _take_back(one, cause)]
    return replace(booking, moves=(*booking.moves, *back), undone=True)


def _take_back(one: Paid, cause: str) -> tuple[Move, Move]:
    return (
        Move(one.to_owner_id, one.to_item_id, INVOICEABLE, OFFSET, one.amount_fen, cause),
        Move(one.owner_id, one.from_item_id, OFFSET, INVOICEABLE, one.amount_fen, cause),
    )


def said(task: BookingTask, moved_fen: int) -> list[LedgerFact]:
    """The word that all of a task is booked: to whoever asked for a release, or to finance."""
    if not moved_fen and not task.answers:
        return []
    common = {"account_id": task.account_id, "reservation_id": task.reservation_id}
    if task.answers is not None:
        released = {"request_id": task.answers, "released_fen": moved_fen}
        return [ReservationReleased.model_validate(common | released)]
    if task.wanted not in FACTS:
        return []
    part = {"request_id": task.request_id, "part_id": task.part_id, "subject": task.subject}
    return [FACTS[task.wanted].model_validate(common | part | {"amount_fen": moved_fen})]


# booking it in steps


@dataclass(frozen=True)
class QueuedBooking:
    """A task on a large reservation: what is left of it, and how far it came."""

    task: BookingTask
    task_id: int
    pass_no: int
    moved_fen: int
    after_place: int
    traceparent: str | None

    @property
    def messages(self) -> list[LedgerFact]:
        """Only when all is booked it is said."""
        return []

    def __str__(self) -> str:
        return f"{self.task.cause}, reservation {self.task.reservation_id} of account {self.task.account_id}"


@dataclass(frozen=True)
class BookingDone:
    queued: QueuedBooking
    moved_fen: int

    @property
    def messages(self) -> list[LedgerFact]:
        return said(self.queued.task, self.moved_fen)


@dataclass(frozen=True)
class Chunk:
    """The allocations of one step, and whether they are the last of this pass."""

    holding: Holding
    last: bool


def book_step(queued: QueuedBooking, chunk: Chunk) -> tuple[Booking, QueuedBooking | BookingDone]:
    """One step of one pass, and where the next goes on."""
    passes = PASSES[queued.task.wanted]
    booking = _book(queued.task, chunk.holding, (passes[queued.pass_no],))
    task, moved_fen = replace(queued.task, shares=booking.shares_left), queued.moved_fen + booking.moved_fen
    after = replace(queued, task=task, moved_fen=moved_fen)
    if not chunk.last:
        return booking, replace(after, after_place=chunk.holding.allocations[-1].place)
    if queued.pass_no + 1 < len(passes) and any((booking.shares_left or {}).values()):
        return booking, replace(after, after_place=-1, pass_no=queued.pass_no + 1)
    return booking, BookingDone(queued, moved_fen)
