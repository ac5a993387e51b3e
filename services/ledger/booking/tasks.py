"""What is to be booked on a reservation, and whether at once or in steps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.ledger.reservations.rules import Reservation
from shared.contracts.invoicing import PartFact
from shared.contracts.ledger import AmountCredited, AmountInvoiced, ReleaseReservation
from shared.contracts.message import Unacceptable

COUNTS = ((None, "issued"), (None, "released"), ("released", "issued"), ("issued", "credited"))
"""(booked before, wanted now): everything else has been said already, or comes too late to matter."""
TOO_EARLY = ((None, "credited"), ("released", "credited"))
CAUSES = {"issued": "part {}", "released": "part {}", "credited": "credit of part {}"}
FACTS = {"issued": AmountInvoiced, "credited": AmountCredited}


@dataclass(frozen=True, slots=True)
class BookingTask:
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

    @property
    def credited_cause(self) -> str | None:
        """Under which cause the invoice that is to be credited took its items."""
        return CAUSES["issued"].format(self.part_id) if self.wanted == "credited" else None


@dataclass(frozen=True, slots=True)
class Nothing:
    """It was said already, comes too late to matter, or is about a request that holds nothing."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    task: BookingTask


@dataclass(frozen=True, slots=True)
class InSteps:
    """On a large reservation: a worker books it."""

    task: BookingTask


Instruction = Nothing | AtOnce | InSteps


def book_part(before: str | None, wanted: str, fact: PartFact, reservation: Reservation | None) -> Instruction:
    """How a part is booked. What is over more than a large reservation holds is refused here: later nobody could park it."""
    task = part_task(before, wanted, fact)
    if task is None:
        return Nothing()
    if reservation is None or not reservation.large:
        return AtOnce(task)
    check_held(task, reservation.group_fen)
    return InSteps(task)


def part_task(before: str | None, wanted: str, fact: PartFact) -> BookingTask | None:
    """None when it does not count any more."""
    if (before, wanted) in TOO_EARLY:
        text = f"part {fact.part_id} is credited and was never booked as issued; redrive its InvoiceIssued first, then this"
        raise Unacceptable("CREDIT_BEFORE_ISSUE", text)
    if (before, wanted) not in COUNTS:
        return None
    shares = {share.group_no: share.amount_fen for share in fact.shares}
    return BookingTask(
        fact.account_id,
        fact.reservation_id,
        wanted,
        CAUSES[wanted].format(fact.part_id),
        shares,
        request_id=fact.request_id,
        part_id=fact.part_id,
        subject=fact.subject,
    )


def release(command: ReleaseReservation, reservation: Reservation | None) -> Instruction:
    """Everything the request still holds; nothing of one that was never reserved, or is not answered yet."""
    if reservation is None or not reservation.answered or reservation.reservation_id is None:
        return Nothing()
    task = release_task(command.account_id, command.request_id, reservation.reservation_id)
    task = replace(task, answers=command.request_id)
    return InSteps(task) if reservation.large else AtOnce(task)


def release_task(account_id: int, request_id: int, reservation_id: int) -> BookingTask:
    return BookingTask(account_id, reservation_id, "released", f"release of request {request_id}", None)


def check_held(task: BookingTask, held: Mapping[int, int]) -> None:
    """Raises `Unacceptable` when a group holds less than an invoice's shares say."""
    lacking = [group_no for group_no, fen in (task.shares or {}).items() if fen > held.get(group_no, 0)]
    if lacking and task.wanted in FACTS:
        text = f"{task.cause}: groups {lacking} do not hold what its shares say; see who sent it"
        raise Unacceptable("SHARES_NOT_HELD", text)
