"""Notification's handlers and workers on real PostgreSQL: told once, whatever is redelivered; never given up too early."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notification.app import MIGRATIONS
from services.notification.channels.port import Refused, SendAnswer, Sent, Unknown
from services.notification.notices import handlers, store
from services.notification.notices.rules import (
    AGAIN_SECONDS,
    LEASE_SECONDS,
    WAIT_FOR_RECIPIENT_TRIES,
    DueNotice,
    NoAddress,
)
from services.notification.recipients import handlers as recipients
from shared.contracts.invoicing import (
    CreditNoteFailed,
    InvoiceCredited,
    InvoiceFailed,
    InvoiceFile,
    InvoiceFilesStored,
    InvoiceIssued,
    InvoiceVoided,
    RedFormWaits,
    RequestRefused,
    Share,
)
from shared.contracts.message import Message
from shared.contracts.notices import NoticeFailed, NoticeSent
from shared.contracts.titles import RecipientChanged
from shared.runtime.database import Database
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
PART = {
    "account_id": 1,
    "request_id": 5,
    "part_id": 7,
    "reservation_id": 9,
    "subject": "ALIYUN_SERVICE",
    "legal_entity": "ALIYUN",
    "content": "ALIYUN/soft",
    "tax_percent": 6,
    "kind": "general",
    "gross_fen": 106_000,
    "net_fen": 100_000,
    "tax_fen": 6_000,
    "shares": [Share(group_no=1, amount_fen=106_000)],
}
ISSUED = InvoiceIssued.model_validate(
    PART | {"serial": "0" * 20, "number": "26332000000000000001", "issued_at": NOW, "specimen": True}
)
FILE = InvoiceFile(name="a.pdf", media_type="application/pdf", object_key="a.pdf", size=1, sha256="0" * 64)
STORED = InvoiceFilesStored(
    account_id=1, request_id=5, part_id=7, number=ISSUED.number, gross_fen=106_000, files=(FILE,)
)
CREDIT = {"account_id": 1, "request_id": 5, "part_id": 7, "number": ISSUED.number, "gross_fen": 106_000}
WAITS = RedFormWaits.model_validate(
    CREDIT | {"credit_note_id": 11, "form_number": "330126031300000001", "hours_left": 72}
)
NOT_CREDITED = CreditNoteFailed.model_validate(CREDIT | {"credit_note_id": 11, "reason": "RED_FORM_05"})
FACTS = {
    "issued": (handlers.invoice_issued, ISSUED, {"sms", "inbox"}),
    "documents": (handlers.invoice_files_stored, STORED, {"mail"}),
    "failed": (
        handlers.invoice_failed,
        InvoiceFailed.model_validate(PART | {"serial": "0" * 20, "reason": "BUYER_TAX_ID"}),
        {"mail", "sms", "inbox"},
    ),
    "voided": (handlers.invoice_voided, InvoiceVoided.model_validate(PART | {"reason": "CANCELLED"}), {"inbox"}),
    "credited": (
        handlers.invoice_credited,
        InvoiceCredited.model_validate(
            PART | {"number": ISSUED.number, "red_number": "26332000000000000002", "credited_at": NOW, "specimen": True}
        ),
        {"sms", "inbox"},
    ),
    "red documents": (handlers.invoice_files_stored, STORED.model_copy(update={"credit_note_id": 11}), {"mail"}),
    "form waits": (handlers.red_form_waits, WAITS, {"mail", "sms", "inbox"}),
    "not credited": (handlers.credit_note_failed, NOT_CREDITED, {"mail", "sms", "inbox"}),
    "refused": (handlers.request_refused, RequestRefused(account_id=1, request_id=5, reason="ITEM_LOCKED"), {"inbox"}),
}


@pytest.fixture
async def database(open_database: OpenDatabase) -> Database:
    return await open_database(MIGRATIONS)


async def channels(database: Database) -> dict[str, str]:
    async with database.read() as db:
        return {row["channel"]: row["status"] for row in await db.fetch("SELECT channel, status FROM notice")}


@pytest.mark.parametrize("kind", FACTS)
async def test_a_fact_is_told_on_its_channels_once(kind: str, database: Database) -> None:
    handler, fact, wanted = FACTS[kind]
    said = []
    for _ in range(2):
        async with database.transaction() as db:
            said += await handler(fact, db, NOW)  # type: ignore[operator]
    assert (await channels(database)).keys() == wanted
    assert [type(one) for one in said] == ([NoticeSent] if "inbox" in wanted else [])


async def test_the_files_of_the_red_invoice_are_mailed_beside_those_of_the_blue_one(database: Database) -> None:
    async with database.transaction() as db:
        await handlers.invoice_files_stored(STORED, db, NOW)
        await handlers.invoice_files_stored(STORED.model_copy(update={"credit_note_id": 11}), db, NOW)
    mails = [await claimed(database) for _ in range(2)]
    assert [(mail.kind, len(mail.files)) for mail in mails] == [
        ("invoice_documents", len(STORED.files)),
        ("credit_note_documents", len(STORED.files)),
    ]


async def kinds(database: Database) -> list[str]:
    async with database.read() as db:
        rows = await db.fetch("SELECT kind FROM notice WHERE channel = 'inbox' ORDER BY notice_id")
        return [row["kind"] for row in rows]


async def test_each_reminder_of_a_form_is_told_once(database: Database) -> None:
    for hours_left in (72, 48, 47, 24, 6, 0, 72):
        async with database.transaction() as db:
            await handlers.red_form_waits(WAITS.model_copy(update={"hours_left": hours_left}), db, NOW)
    assert await kinds(database) == [f"red_form_waits_{hours}" for hours in (72, 48, 24, 6)]


async def test_a_second_credit_note_over_the_same_part_is_told_as_well(database: Database) -> None:
    for credit_note_id in (11, 11, 12, 11, 12):
        again = {"credit_note_id": credit_note_id}
        async with database.transaction() as db:
            await handlers.red_form_waits(WAITS.model_copy(update=again), db, NOW)
            await handlers.credit_note_failed(NOT_CREDITED.model_copy(update=again), db, NOW)
    assert await kinds(database) == ["red_form_waits_72", "credit_note_failed"] * 2


async def test_a_refused_mail_of_a_credit_note_has_failed_and_the_inbox_has_it(database: Database) -> None:
    async with database.transaction() as db:
        await handlers.credit_note_failed(NOT_CREDITED, db, NOW)
    (said,) = await came(database, await claimed(database), Refused("ADDRESS_REFUSED"))
    assert isinstance(said, NoticeFailed)
    assert said.kind == "credit_note_failed"
    assert await channels(database) == {"mail": "failed", "sms": "pending", "inbox": "sent"}


async def claim(database: Database, at: datetime) -> DueNotice | None:
    async with database.transaction() as db:
        return await store.claim_due(db, at, at, channel="mail")


async def claimed(database: Database, at: datetime = NOW) -> DueNotice:
    due = await claim(database, at)
    assert due is not None
    return due


async def came(database: Database, due: DueNotice, answer: SendAnswer | NoAddress) -> list[Message]:
    async with database.transaction() as db:
        return await handlers.attempted(due, answer, db, NOW)


@pytest.fixture
async def told(database: Database) -> Database:
    """A mail is due, and the account has said where to write to."""
    async with database.transaction() as db:
        await recipients.recipient_changed(RecipientChanged(account_id=1, version=2, mailbox="sealed.v1.a.b"), db, NOW)
        await recipients.recipient_changed(
            RecipientChanged(account_id=1, version=1, mailbox="sealed.v1.old.b"), db, NOW
        )
        await handlers.invoice_files_stored(STORED, db, NOW)
    return database


async def test_a_lower_version_of_the_recipient_is_ignored(told: Database) -> None:
    assert (await claimed(told)).address == "sealed.v1.a.b"


async def test_sent_is_said_once(told: Database) -> None:
    due = await claimed(told)
    assert [type(one) for one in await came(told, due, Sent())] == [NoticeSent]
    assert await came(told, due, Sent()) == []
    assert await channels(told) == {"mail": "sent"}


async def test_a_refused_mail_has_failed_with_its_reason(told: Database) -> None:
    (said,) = await came(told, await claimed(told), Refused("ADDRESS_REFUSED"))
    assert isinstance(said, NoticeFailed)
    assert said.reason == "ADDRESS_REFUSED"


async def test_no_answer_is_asked_again_later_under_the_same_id(told: Database) -> None:
    first = await claimed(told)
    assert await came(told, first, Unknown("timeout")) == []
    assert await claim(told, NOW) is None
    again = await claimed(told, NOW + timedelta(seconds=AGAIN_SECONDS[0]))
    assert again.notice_id == first.notice_id


async def test_a_lease_that_ended_goes_to_another_and_the_first_word_no_longer_counts(told: Database) -> None:
    slow = await claimed(told)
    assert await claim(told, NOW) is None
    other = await claimed(told, NOW + timedelta(seconds=LEASE_SECONDS + 1))
    assert await came(told, slow, Refused("LATE")) == []
    assert len(await came(told, other, Sent())) == 1


async def test_a_missing_address_is_waited_for_and_then_given_up(told: Database) -> None:
    at, said = NOW, []
    for _ in range(WAIT_FOR_RECIPIENT_TRIES):
        said = await came(told, await claimed(told, at), NoAddress())
        at += timedelta(hours=2)
    (end,) = said
    assert isinstance(end, NoticeFailed)
    assert end.reason == "NO_RECIPIENT"
