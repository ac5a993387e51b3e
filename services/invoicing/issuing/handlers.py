"""What is done with parts: queued, answered by the platform, cancelled, waiting for quota. Load, decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from asyncpg import Connection

from services.invoicing.accounts.refusals import Refused
from services.invoicing.invoice_files import store as file_rows
from services.invoicing.invoice_files.rules import job_of
from services.invoicing.issuing import rules, splitting, store, waiting
from services.invoicing.issuing.rules import ClaimedPart, MovedPart, PendingPart
from services.invoicing.issuing.store import PARTS
from services.invoicing.issuing.waiting import WaitingPart
from services.invoicing.quotas import rules as quota_rules
from services.invoicing.quotas import store as quota_rows
from services.invoicing.quotas.rules import AskedQuota
from services.invoicing.requests import rules as request_rules
from services.invoicing.requests import store as request_rows
from services.invoicing.requests.rules import CancelIntent
from services.invoicing.submissions import store as submission_rows
from services.invoicing.submissions.handlers import ignored, unmoved
from services.invoicing.submissions.rules import Completed, Ignored, Moved, Pending, Unmoved
from services.invoicing.tax_platforms.port import Answer, QuotaAnswer
from shared.contracts.ledger import BalanceReserved, ReservationImpaired
from shared.contracts.message import Message
from shared.domain.catalogue import Catalogue


async def balance_reserved(
    fact: BalanceReserved, db: Connection, now: datetime, *, catalogue: Catalogue
) -> list[Message]:
    started = await request_rows.ledger_reserved(db, fact, now)
    parts, messages = splitting.plan(fact, started, catalogue)
    part_ids = await store.next_ids(db, len(parts))
    await store.add(db, fact, splitting.numbered(parts, part_ids))
    await request_rows.notify_answered(db, fact.account_id, fact.request_id)
    return messages


async def part_answered(part: ClaimedPart, answer: Answer, db: Connection, now: datetime) -> list[Message]:
    cancel_wished = await request_rows.lock(db, part.account_id, part.request_id)
    held = await store.held_part(db, part)
    found = rules.answered(part, answer, held, cancel_wished=cancel_wished)
    return await SAVED[type(found)](part, found, db, now)


async def part_pending(part: ClaimedPart, pending: PendingPart, db: Connection, _: datetime) -> list[Message]:
    await submission_rows.write(db, PARTS, part, pending, rules.columns_of(pending))
    return []


async def part_moved(part: ClaimedPart, moved: MovedPart, db: Connection, now: datetime) -> list[Message]:
    await submission_rows.write(db, PARTS, part, moved, rules.columns_of(moved))
    await store.add_history(db, rules.history(part, moved.held.status, moved.status), now)
    await quota_rows.count(db, rules.quota_changes(part, moved))
    siblings = await store.of_request(db, part.account_id, part.request_id)
    closed = await request_rows.close(db, request_rules.closing(part.account_id, part.request_id, siblings), now)
    return rules.after(rules.facts_of(part, moved.outcome, moved.status), closed)


async def part_completed(part: ClaimedPart, completed: MovedPart, db: Connection, now: datetime) -> list[Message]:
    await file_rows.add(db, [job_of(part)])
    return await part_moved(part, completed, db, now)


SAVED: dict[type, Callable[..., Awaitable[list[Message]]]] = {
    Ignored: ignored,
    Unmoved: partial(unmoved, table=PARTS),
    Pending: part_pending,
    Moved: part_moved,
    Completed: part_completed,
}


async def cancel_request(intent: CancelIntent, db: Connection, now: datetime) -> tuple[str | Refused, list[Message]]:
    status = await request_rows.wish_cancel(db, intent)
    await store.lock_of_request(db, intent)
    voided = await store.void_unsubmitted(db, intent)
    await store.add_history(db, rules.voided_history(voided), now)
    await store.make_due_now(db, intent)
    parts = await store.of_request(db, intent.account_id, intent.request_id)
    closed = await request_rows.close(db, request_rules.closing(intent.account_id, intent.request_id, parts), now)
    return request_rules.cancelled(intent, status, parts), rules.after(rules.voided(voided), closed)


async def reservation_impaired(fact: ReservationImpaired, db: Connection, now: datetime) -> list[Message]:
    _, messages = await cancel_request(request_rules.impaired(fact), db, now)
    return messages


async def quota_answered(asked: AskedQuota, answer: QuotaAnswer, db: Connection, _: datetime) -> list[Message]:
    """At news whoever waits for it looks again."""
    sellers = await quota_rows.keep(db, quota_rules.figures_of(asked, answer))
    await store.wake_waiting(db, sellers)
    return []


async def quota_looked_for(part: WaitingPart, db: Connection, now: datetime) -> list[Message]:
    looked = waiting.look(part)
    await store.keep_look(db, looked)
    await store.add_history(db, [looked.change], now)
    return [*looked.messages]
