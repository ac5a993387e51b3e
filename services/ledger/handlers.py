"""What the ledger does with each message: load, decide, save, answer."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.balances import changes as change_rows
from services.ledger.balances import news as changes
from services.ledger.balances import store as pages
from services.ledger.balances.news import Changed, Openings
from services.ledger.booking import rules as booking
from services.ledger.booking import store as bookings
from services.ledger.booking.rules import Booking, Order, Waiting
from services.ledger.intake import billing_documents as papers
from services.ledger.intake import matching
from services.ledger.intake import rules as intake
from services.ledger.intake.matching import Matching, Overdue
from services.ledger.journal import rules as moves
from services.ledger.journal import store as items
from services.ledger.large_reservations import promises
from services.ledger.large_reservations import rules as allocating
from services.ledger.large_reservations import store as allocations
from services.ledger.large_reservations.rules import Allocation, Remainder
from services.ledger.reservations import rules as reserving
from services.ledger.reservations import store as reservations
from services.ledger.reservations.rules import Answer, Decision
from services.ledger.selections import store as selections
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillingFact
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, InvoiceVoided, PartFact
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation, ReservationImpaired, ReserveBalance
from shared.contracts.message import Message, Park
from shared.domain.catalogue import Catalogue


async def billing_facts(
    facts: list[BillingFact], db: Connection, now: datetime, *, catalogue: Catalogue
) -> list[Message | Park]:
    batch, matched = await papers.take_in(db, intake.sort_out(facts, catalogue), catalogue.version, now)
    return [*batch.parks, *await _refunded(matched, db, now)]


async def refund_overdue(overdue: Overdue, _: None, db: Connection, now: datetime) -> list[Message]:
    matched = matching.match(await papers.waiting_refunds(db, [overdue.account_id]))
    impaired = await _refunded(matched, db, now)
    await papers.looked_at(db, overdue, now)
    return [*matching.unmatched(overdue, matched, now), *impaired]


async def _refunded(matched: Matching, db: Connection, now: datetime) -> list[ReservationImpaired]:
    await papers.count(db, matched)
    await items.record(db, moves.refund_moves(matched.due), now)
    return await reservations.hit(db, matched.due)


async def cash_topped_up(fact: CashToppedUp, db: Connection, _: datetime) -> list[Message | Park]:
    return [*intake.top_up_parks(fact, await papers.add_cash(db, fact))]


async def reserve_balance(ask: ReserveBalance, db: Connection, now: datetime) -> list[Message]:
    earlier, reservation_id = await reservations.begin(db, ask)
    selected = await selections.select(db, ask, now)
    decision = reserving.reserve(ask, earlier, selected, reservation_id, now)
    await allocations.queue(db, ask, decision, reservation_id, now)
    return await _decided(decision, db, now)


async def offset_deficit(ask: OffsetDeficit, db: Connection, now: datetime) -> list[Message]:
    earlier, reservation_id = await reservations.begin(db, ask)
    selected = await selections.select(db, ask, now)
    return await _decided(reserving.offset(ask, earlier, selected, reservation_id, now), db, now)


async def _decided(decision: Decision, db: Connection, now: datetime) -> list[Message]:
    await reservations.add(db, decision, now)
    await items.record(db, decision.moves(), now)
    return decision.answers


async def release_reservation(ask: ReleaseReservation, db: Connection, now: datetime) -> list[Message]:
    order = booking.release_order(ask, await reservations.id_of(db, ask.account_id, ask.request_id))
    now_order = await bookings.queue_if_large(db, order)
    made = await _book(now_order, db, now)
    return [*booking.said(now_order, made.moved_fen)]


async def invoice_issued(fact: InvoiceIssued, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "issued", db, now)


async def invoice_failed(fact: InvoiceFailed, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "released", db, now)


async def invoice_voided(fact: InvoiceVoided, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "released", db, now)


async def invoice_credited(fact: InvoiceCredited, db: Connection, now: datetime) -> list[Message]:
    return await _book_part(fact, "credited", db, now)


async def _book_part(fact: PartFact, wanted: str, db: Connection, now: datetime) -> list[Message]:
    before = await reservations.booking_of(db, fact, wanted)
    order = await bookings.queue_if_large(db, booking.part_order(before, wanted, fact))
    made = await _book(order, db, now)
    return [*booking.said(order, made.moved_fen)]


async def _book(order: Order | None, db: Connection, now: datetime) -> Booking:
    made = booking.book(order, await reservations.held(db, order))
    await reservations.book(db, order, made)
    await items.record(db, made.moves, now)
    return made


async def hold_sums(job: Allocation, db: Connection, now: datetime) -> list[Message]:
    """The first step of a large reservation: from here on nobody else can have the amount."""
    foreseen = await promises.foresee(db, job.ask, now)
    payers = await selections.payers_alone(db, job.ask, now)
    held = allocating.hold(job, payers, await promises.free_sums(db, job.ask, foreseen, now), foreseen.oldest)
    await items.record(db, held.moves(job), now)
    await reservations.add_offsets(db, job.account_id, job.reservation_id, held.offsets)
    await promises.promise(db, job, held)
    return await _ended(job, held.answers, None, db, now)


async def take_items(remainder: Remainder, db: Connection, now: datetime) -> list[Message]:
    """One bounded step over the items of one sum; other workers may be at other sums of the same reservation."""
    picked = await allocations.pick(db, remainder)
    step = allocating.take(remainder, picked, await allocations.groups_of(db, remainder, picked))
    await allocations.record(db, remainder, step, now)
    return []


async def answer_large(job: Allocation, db: Connection, now: datetime) -> list[Message]:
    """The last step: everything was taken, or something is missing and all goes back."""
    missing_fen = await allocations.give_back(db, job)
    groups = await allocations.groups(db, job)
    pairs = await reservations.offset_pairs(db, job.account_id, job.reservation_id)
    answer, back = allocating.answered(job, missing_fen, groups, pairs)
    await bookings.queue(db, back)
    return await _ended(job, [answer], job.reservation_id, db, now)


async def _ended(
    job: Allocation, answers: Sequence[Answer], reservation_id: int | None, db: Connection, now: datetime
) -> list[Message]:
    for answer in answers:
        await reservations.add_answer(db, answer, reservation_id, now)
        await allocations.end(db, job)
    return list(answers)


async def book_large(waiting: Waiting, db: Connection, now: datetime) -> list[Message]:
    """One bounded step of an order on a large reservation."""
    part = await bookings.chunk(db, waiting)
    made = booking.book(waiting.order, part.holding, waiting.bucket)
    after = waiting.after(part, made)
    await reservations.book(db, waiting.order, made)
    await items.record(db, made.moves, now)
    await bookings.proceed(db, waiting, after)
    return [*booking.said(waiting.order, waiting.moved_fen + made.moved_fen, done=after is None)]


async def openings_noted(opened: Openings, db: Connection, _: datetime) -> list[Message]:
    """Time alone changes a balance: some of these accounts' sums have opened."""
    await change_rows.note_openings(db, opened)
    return []


async def balances_published(changed: Sequence[Changed], _: None, db: Connection, now: datetime) -> list[Message]:
    sums = await pages.sums_of(db, [one.account_id for one in changed], now)
    await change_rows.mark_told(db, changed, {account: changes.deficits_of(rows) for account, rows in sums.items()})
    return [message for one in changed for message in changes.news(one, sums[one.account_id])]
