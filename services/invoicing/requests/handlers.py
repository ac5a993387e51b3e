"""What is done with a request and the ledger's refusal of one: load, decide, save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.invoicing.accounts import store as account_rows
from services.invoicing.accounts.refusals import Refused
from services.invoicing.accounts.rules import Unseal
from services.invoicing.idempotency import store as key_rows
from services.invoicing.requests import intents, rules, store
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from shared.contracts.ledger import ReservationRefused
from shared.contracts.message import Message


async def request_invoice(
    intent: InvoiceIntent, db: Connection, now: datetime, *, unseal: Unseal
) -> tuple[AcceptedRequest | Refused, list[Message]]:
    first = await key_rows.first_use(db, intent.key)
    applicant = await account_rows.applicant(db, intent.account_id)
    decision = intents.decide(intent, await store.next_id(db), first, applicant, unseal)
    await key_rows.keep(db, decision.used, now)
    await store.add(db, decision.new, now)
    return decision.answer, list(decision.messages)


async def reservation_refused(fact: ReservationRefused, db: Connection, now: datetime) -> list[Message]:
    refused = await store.ledger_refused(db, fact, now)
    await store.notify_answered(db, fact.account_id, fact.request_id)
    return rules.refused(fact, refused)
