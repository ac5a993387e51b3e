"""What notification does with each fact: load, decide, save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.notification import domain, store
from services.notification.adapters.port import Outcome
from services.notification.domain import Due, NoAddress
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
from shared.contracts.titles import RecipientChanged, SealingKeyIssued


async def sealing_key_issued(fact: SealingKeyIssued, db: Connection, _: datetime) -> list[Message]:
    await store.keep_key(db, fact)
    return []


async def recipient_changed(fact: RecipientChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_recipient(db, fact)
    return []


async def invoice_issued(fact: InvoiceIssued, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.issued(fact), now))


async def invoice_files_stored(fact: InvoiceFilesStored, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.documents(fact), now))


async def invoice_failed(fact: InvoiceFailed, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.failed(fact), now))


async def invoice_voided(fact: InvoiceVoided, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.voided(fact), now))


async def invoice_credited(fact: InvoiceCredited, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.credited(fact), now))


async def red_form_waits(fact: RedFormWaits, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.form_waits(fact), now))


async def credit_note_failed(fact: CreditNoteFailed, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.credit_failed(fact), now))


async def request_refused(fact: RequestRefused, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.add(db, domain.refused(fact), now))


async def attempted(due: Due, outcome: Outcome | NoAddress, db: Connection, now: datetime) -> list[Message]:
    return domain.told(await store.change(db, due, domain.decide(due, outcome), now))
