"""How a whole batch of billing documents is accepted: each document whole, or parked whole."""

from datetime import datetime

from asyncpg import Connection

from services.ledger.intake import billing_documents, store
from services.ledger.intake.matching import Matching, match
from services.ledger.intake.rules import Intake
from services.ledger.journal.store import locked_sums


async def accept(db: Connection, batch: Intake, catalogue_version: str, now: datetime) -> tuple[Intake, Matching]:
    """What is accepted, with what is parked; and which refunds count from now on.

    It is written under a savepoint. If a document then has to be parked, all begins again without it: to look before writing would cost
    every batch what only a conflict has to pay.
    """
    await _lock(db, batch)
    while True:
        savepoint = db.transaction()
        await savepoint.start()
        conflicts = [
            *await store.add_items(db, batch.items, catalogue_version, now),
            *await billing_documents.add_refunds(db, batch.refunds, now),
            *await billing_documents.add_usage(db, batch.usage),
        ]
        matched = match(await billing_documents.waiting_refunds(db, batch.accounts))
        parks = batch.to_park(conflicts, matched.excesses)
        if not parks:
            await savepoint.commit()
            return batch, matched
        await savepoint.rollback()
        batch = batch.without(parks)


async def _lock(db: Connection, batch: Intake) -> None:
    """What refunds bear on, those of the batch and those that wait, in the order in which everybody locks: refunds, items, sums, accounts.

    Without refunds one statement writes the sums and another nothing: there is no order to keep.
    """
    originals = batch.originals(await billing_documents.lock_waiting_refunds(db, batch.accounts))
    if not originals:
        return
    of_originals = await store.lock_items(db, originals)
    await locked_sums(db, of_originals | batch.sum_keys)
    await store.lock_changes(db, batch.accounts)
