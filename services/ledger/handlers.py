"""What the ledger does with each message: load, decide, save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.ledger.domain import booking, changes, intake, moves, reserving
from services.ledger.domain.changes import Changed
from services.ledger.domain.reserving import Decision
from services.ledger.store import items, pages, papers, reservations, selections
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillingFact
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, InvoiceVoided, PartFact
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation, ReserveBalance
from shared.contracts.message import Message, Park
from shared.domain.catalogue import Catalogue


async def billing_facts(
    facts: list[BillingFact], db: Connection, now: datetime, *, catalogue: Catalogue
) -> list[Message | Park]:
    batch = intake.sort_out(facts, catalogue)
    conflicts: list[tuple[object, ...]] = [*await items.add(db, batch.items, catalogue.version, now)]
    conflicts += await papers.add_refunds(db, batch.refunds, now)
    conflicts += await papers.add_usage(db, batch.usage)
    refunds = await papers.match_refunds(db, batch.accounts)
    await items.record(db, moves.refund_moves(refunds), now)
    impaired = await reservations.hit(db, refunds)
    return [*batch.parks, *batch.conflicts(conflicts), *impaired]


async def cash_topped_up(fact: CashToppedUp, db: Connection, _: datetime) -> list[Message]:
    await papers.add_cash(db, fact)
    return []


async def reserve_balance(ask: ReserveBalance, db: Connection, now: datetime) -> list[Message]:
    earlier = await reservations.earlier_answer(db, ask)
    selected = await selections.select(db, ask, now)
    return await _decided(reserving.reserve(ask, earlier, selected, await reservations.next_id(db), now), db, now)


async def offset_deficit(ask: OffsetDeficit, db: Connection, now: datetime) -> list[Message]:
    earlier = await reservations.earlier_answer(db, ask)
    selected = await selections.select(db, ask, now)
    return await _decided(reserving.offset(ask, earlier, selected, await reservations.next_id(db), now), db, now)


async def _decided(decision: Decision, db: Connection, now: datetime) -> list[Message]:
    await reservations.add(db, decision, now)
    await items.record(db, decision.moves(), now)
    return [decision.answer]


async def release_reservation(ask: ReleaseReservation, db: Connection, now: datetime) -> list[Message]:
    reservation_id = await reservations.id_of(db, ask.account_id, ask.request_id)
    held = await reservations.held(db, ask.account_id, reservation_id)
    booked, answers = booking.release(ask, reservation_id, held)
    await reservations.book(db, ask.account_id, reservation_id, booked)
    await items.record(db, booked.moves, now)
    return [*answers]


async def invoice_issued(fact: InvoiceIssued, db: Connection, now: datetime) -> list[Message]:
    return await _book(fact, "issued", db, now)


async def invoice_failed(fact: InvoiceFailed, db: Connection, now: datetime) -> list[Message]:
    return await _book(fact, "released", db, now)


async def invoice_voided(fact: InvoiceVoided, db: Connection, now: datetime) -> list[Message]:
    return await _book(fact, "released", db, now)


async def _book(fact: PartFact, wanted: str, db: Connection, now: datetime) -> list[Message]:
    before = await reservations.booking_of(db, fact, wanted)
    held = await reservations.held(db, fact.account_id, fact.reservation_id)
    booked = booking.book(before, wanted, fact, held)
    await reservations.book(db, fact.account_id, fact.reservation_id, booked)
    await items.record(db, booked.moves, now)
    return []


async def balance_published(changed: Changed, _: None, db: Connection, now: datetime) -> list[Message]:
    sums = await pages.sums(db, changed.account_id, now)
    await pages.mark_published(db, changed)
    return [changes.balance_changed(changed, sums)]
