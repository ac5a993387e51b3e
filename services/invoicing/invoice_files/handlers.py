"""What is done with the files of an invoice: load, decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from asyncpg import Connection

from services.invoicing.invoice_files import rules, store
from services.invoicing.invoice_files.rules import FilesDelayed, FilesErased, FilesMade, InvoiceFileJob
from shared.contracts.message import Message


async def files_answered(
    job: InvoiceFileJob, made: FilesMade | FilesDelayed | FilesErased, db: Connection, _: datetime
) -> list[Message]:
    return await SAVED[type(made)](job, made, db)


async def files_made(job: InvoiceFileJob, made: FilesMade, db: Connection) -> list[Message]:
    news = await store.keep(db, job, made)
    return rules.stored(job, made, news)


async def files_delayed(job: InvoiceFileJob, delayed: FilesDelayed, db: Connection) -> list[Message]:
    await store.delay(db, job, delayed)
    return []


async def files_erased(job: InvoiceFileJob, _: FilesErased, db: Connection) -> list[Message]:
    await store.give_up(db, job)
    return []


SAVED: dict[type, Callable[..., Awaitable[list[Message]]]] = {
    FilesMade: files_made,
    FilesDelayed: files_delayed,
    FilesErased: files_erased,
}
