"""Billing facts arrive in batches, top-ups one by one; refunds that have waited for long are looked at again."""

from datetime import datetime

from asyncpg import Connection

from services.ledger.intake import batches, billing_documents, matching, rules
from services.ledger.intake.matching import Matching, OverdueRefund
from services.ledger.journal.rules import refund_moves
from services.ledger.journal.store import record
from services.ledger.reservations.store import affected_by_refunds
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillingFact
from shared.contracts.ledger import ReservationImpaired
from shared.contracts.message import Message, Park
from shared.domain.catalogue import Catalogue


async def billing_facts(
    facts: list[BillingFact], db: Connection, now: datetime, *, catalogue: Catalogue
) -> list[Message | Park]:
    batch, matched = await batches.accept(db, rules.sort_out(facts, catalogue), catalogue.version, now)
    return [*batch.parks, *await _refunded(matched, db, now)]


async def refund_overdue(overdue: OverdueRefund, _: None, db: Connection, now: datetime) -> list[Message]:
    matched = matching.match(await billing_documents.waiting_refunds(db, [overdue.account_id]))
    impaired = await _refunded(matched, db, now)
    await billing_documents.look_again(db, overdue, overdue.next_look(now))
    return [*matching.unmatched(overdue, matched, now), *impaired]


async def _refunded(matched: Matching, db: Connection, now: datetime) -> list[ReservationImpaired]:
    await billing_documents.count(db, matched)
    await record(db, refund_moves(matched.due), now)
    return await affected_by_refunds(db, matched.due)


async def cash_topped_up(fact: CashToppedUp, db: Connection, _: datetime) -> list[Message | Park]:
    return [*rules.top_up_parks(fact, await billing_documents.add_cash(db, fact))]
