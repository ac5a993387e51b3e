"""What invoicing does with each message and intent: load, decide, save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.invoicing.accounts import store as title_rows
from services.invoicing.credit_notes import rules as credit_notes
from services.invoicing.credit_notes import store as credit_rows
from services.invoicing.credit_notes.rules import ClaimedCredit, CreditAsk, TakenCredit
from services.invoicing.invoice_files import rules as documents
from services.invoicing.invoice_files import store as document_rows
from services.invoicing.invoice_files.rules import DocumentJob, Made
from services.invoicing.issuing import rules as parts
from services.invoicing.issuing import splitting
from services.invoicing.issuing import store as part_rows
from services.invoicing.issuing.rules import Claimed
from services.invoicing.quotas import rules as quotas
from services.invoicing.quotas import store as quota_rows
from services.invoicing.quotas.rules import Asked, Waiting
from services.invoicing.requests import rules as requests
from services.invoicing.requests import store as request_rows
from services.invoicing.requests.rules import Ask, Cancel, Refused, Taken, Unseal
from services.invoicing.tax_platforms.port import Answer
from shared.contracts.ledger import BalanceReserved, ReservationImpaired, ReservationRefused
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, MemberChanged, SealingKeyIssued, TitleChanged
from shared.domain.catalogue import Catalogue


async def sealing_key_issued(fact: SealingKeyIssued, db: Connection, _: datetime) -> list[Message]:
    await title_rows.keep_key(db, fact)
    return []


async def account_status_changed(fact: AccountStatusChanged, db: Connection, _: datetime) -> list[Message]:
    await title_rows.keep_account_status(db, fact)
    return []


async def title_changed(fact: TitleChanged, db: Connection, _: datetime) -> list[Message]:
    await title_rows.keep_title(db, fact)
    return []


async def member_changed(fact: MemberChanged, db: Connection, _: datetime) -> list[Message]:
    await title_rows.keep_member(db, fact)
    return []


async def request_invoice(
    ask: Ask, db: Connection, now: datetime, *, unseal: Unseal
) -> tuple[Taken | Refused, list[Message]]:
    first = await request_rows.first_under_key(db, ask)
    applicant = await title_rows.applicant(db, ask.account_id)
    decision = requests.decide(ask, await request_rows.next_id(db), first, applicant, unseal)
    await request_rows.add(db, decision.new, now)
    return decision.answer, list(decision.messages)


async def cancel_request(ask: Cancel, db: Connection, now: datetime) -> tuple[str | Refused, list[Message]]:
    status = await request_rows.wish_cancel(db, ask)
    voided = await part_rows.void_unsubmitted(db, ask, now)
    await part_rows.hurry(db, ask)
    siblings = await part_rows.of_request(db, ask.account_id, ask.request_id)
    end = parts.closing(ask.account_id, ask.request_id, siblings)
    closed = await request_rows.close(db, end, now)
    return requests.cancelled(ask, status, [part.status for part in siblings]), parts.after(
        parts.voided(voided), closed, end
    )


async def reservation_impaired(fact: ReservationImpaired, db: Connection, now: datetime) -> list[Message]:
    _, messages = await cancel_request(requests.impaired(fact), db, now)
    return messages


async def balance_reserved(
    fact: BalanceReserved, db: Connection, now: datetime, *, catalogue: Catalogue
) -> list[Message]:
    started = await request_rows.ledger_reserved(db, fact, now)
    queued, messages = splitting.plan(fact, started, catalogue)
    await part_rows.add(db, fact, queued)
    await request_rows.notify_answered(db, fact.account_id, fact.request_id)
    return messages


async def reservation_refused(fact: ReservationRefused, db: Connection, now: datetime) -> list[Message]:
    refused = await request_rows.ledger_refused(db, fact, now)
    await request_rows.notify_answered(db, fact.account_id, fact.request_id)
    return requests.refused(fact, refused)


async def platform_answered(part: Claimed, answer: Answer, db: Connection, now: datetime) -> list[Message]:
    change = parts.decide(part, answer)
    status = await part_rows.change(db, part, change, now)
    end = parts.closing(
        part.account_id, part.request_id, await part_rows.of_request(db, part.account_id, part.request_id)
    )
    closed = await request_rows.close(db, end, now)
    return parts.after(parts.facts_of(part, change, status), closed, end)


async def request_credit_note(
    ask: CreditAsk, db: Connection, now: datetime
) -> tuple[TakenCredit | Refused, list[Message]]:
    first = await credit_rows.first_under_key(db, ask)
    decision = credit_notes.decide_ask(ask, await credit_rows.next_id(db), first, await credit_rows.invoice(db, ask))
    await credit_rows.add(db, decision.new, now)
    return decision.answer, list(decision.messages)


async def red_answered(credit: ClaimedCredit, answer: Answer, db: Connection, now: datetime) -> list[Message]:
    change = credit_notes.decide(credit, answer)
    status = await credit_rows.change(db, credit, change, now)
    await credit_rows.notify_answered(db, credit)
    return credit_notes.facts_of(credit, change, status)


async def platform_called(serial: str, db: Connection, _: datetime) -> tuple[None, list[Message]]:
    await part_rows.look_again(db, serial)
    await credit_rows.look_again(db, serial)
    return None, []


async def quota_told(asked: Asked, answer: Answer, db: Connection, _: datetime) -> list[Message]:
    news = await quota_rows.keep(db, asked, quotas.told(asked, answer))
    await quota_rows.wake_waiting(db, asked, news=news)
    return []


async def quota_looked_for(part: Waiting, db: Connection, now: datetime) -> list[Message]:
    await quota_rows.looked(db, part, now)
    return [*quotas.waits(part)]


async def documents_made(job: DocumentJob, made: Made, db: Connection, _: datetime) -> list[Message]:
    settled = await document_rows.settle(db, job, made)
    return documents.stored(job, settled, made.files)
