"""What is told of each fact of invoicing, and what became of an attempt: decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from asyncpg import Connection

from services.notification.channels.port import SendAnswer
from services.notification.notices import rules, store
from services.notification.notices.rules import DueNotice, NoAddress
from services.notification.recipients import store as recipients
from shared.contracts.invoicing import (
    CreditNoteFailed,
    InvoiceCredited,
    InvoiceFailed,
    InvoiceFilesStored,
    InvoiceIssued,
    InvoiceVoided,
    RedFormWaits,
    RequestRefused,
)
from shared.contracts.message import Message
from shared.contracts.titles import AccountErased

Forget = Callable[[Connection, int], Awaitable[None]]
"""Parked records of an account lose their content."""


async def invoice_issued(fact: InvoiceIssued, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.issued(fact, now)))


async def invoice_files_stored(fact: InvoiceFilesStored, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.files_stored(fact, now)))


async def invoice_failed(fact: InvoiceFailed, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.failed(fact, now)))


async def invoice_voided(fact: InvoiceVoided, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.voided(fact, now)))


async def invoice_credited(fact: InvoiceCredited, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.credited(fact, now)))


async def red_form_waits(fact: RedFormWaits, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.form_waits(fact, now)))


async def credit_note_failed(fact: CreditNoteFailed, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.credit_failed(fact, now)))


async def request_refused(fact: RequestRefused, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.add(db, rules.refused(fact, now)))


async def attempted(due: DueNotice, answer: SendAnswer | NoAddress, db: Connection, now: datetime) -> list[Message]:
    return rules.told(await store.record(db, due, rules.decide(due, answer, now)))


async def account_erased(fact: AccountErased, db: Connection, _: datetime, *, forget: Forget) -> list[Message]:
    """Notices stay, without what could name somebody; those that wait find no address any more."""
    await recipients.erase(db, fact)
    await store.drop_words(db, fact.account_id)
    await forget(db, fact.account_id)
    return []
