"""What became of a part, or that a request gives back what it holds. Small reservations are booked at once, large ones in steps."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from asyncpg import Connection

from services.ledger.booking import rules, store, tasks
from services.ledger.booking.rules import BookingDone, QueuedBooking
from services.ledger.booking.tasks import AtOnce, InSteps, Nothing
from services.ledger.journal.store import record
from services.ledger.reservations.store import of_request
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, InvoiceVoided, PartFact
from shared.contracts.ledger import ReleaseReservation
from shared.contracts.message import Message


async def release_reservation(command: ReleaseReservation, db: Connection, now: datetime) -> list[Message]:
    reservation = await of_request(db, command.account_id, command.request_id)
    instruction = tasks.release(command, reservation)
    return await INSTRUCTIONS[type(instruction)](instruction, db, now)


async def invoice_issued(fact: InvoiceIssued, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "issued", db, now)


async def invoice_failed(fact: InvoiceFailed, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "released", db, now)


async def invoice_voided(fact: InvoiceVoided, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "released", db, now)


async def invoice_credited(fact: InvoiceCredited, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "credited", db, now)


async def _book_part(fact: PartFact, wanted: str, db: Connection, now: datetime) -> list[Message]:
    before = await store.note_part(db, fact, wanted)
    reservation = await of_request(db, fact.account_id, fact.request_id)
    instruction = tasks.book_part(before, wanted, fact, reservation)
    return await INSTRUCTIONS[type(instruction)](instruction, db, now)


async def _nothing(_: Nothing, __: Connection, ___: datetime) -> list[Message]:
    return []


async def _at_once(now_booked: AtOnce, db: Connection, now: datetime) -> list[Message]:
    task = now_booked.task
    booking = rules.book(task, await store.holding(db, task))
    await store.add(db, task, booking)
    await record(db, booking.moves, now)
    return [*rules.said(task, booking.moved_fen)]


async def _in_steps(later: InSteps, db: Connection, _: datetime) -> list[Message]:
    await store.queue(db, later.task)
    return []


INSTRUCTIONS: dict[type, Callable[[Any, Connection, datetime], Awaitable[list[Message]]]] = {
    Nothing: _nothing,
    AtOnce: _at_once,
    InSteps: _in_steps,
}


async def book_large(queued: QueuedBooking, db: Connection, now: datetime) -> list[Message]:
    """One bounded step of a task on a large reservation."""
    booking, after = rules.book_step(queued, await store.chunk(db, queued))
    await store.add(db, queued.task, booking)
    await record(db, booking.moves, now)
    await AFTER[type(after)](db, after)
    return [*after.messages]


AFTER: dict[type, Callable[[Connection, Any], Awaitable[None]]] = {QueuedBooking: store.go_on, BookingDone: store.end}
