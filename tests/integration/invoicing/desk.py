"""Invoicing's handlers and workers over one database, each in a transaction of its own, as a test calls them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from services.invoicing.accounts import handlers as accounts
from services.invoicing.accounts.refusals import Refused
from services.invoicing.app import SUBMITTED
from services.invoicing.invoice_files import handlers as invoice_files
from services.invoicing.invoice_files import store as files
from services.invoicing.invoice_files.rules import FilesDelayed, FilesMade, InvoiceFileJob
from services.invoicing.issuing import claims
from services.invoicing.issuing import handlers as issuing
from services.invoicing.issuing import store as parts
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.quotas import store as quotas
from services.invoicing.requests import handlers as requests
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from services.invoicing.submissions.handlers import platform_called
from services.invoicing.submissions.rules import call_about
from services.invoicing.tax_platforms.port import Answer, QuotaTold, Unknown
from shared.contracts.accounts import Registration
from shared.contracts.ledger import BalanceReserved, Group, ReservationRefused
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, TitleChanged
from shared.domain.calendar import SHANGHAI
from shared.domain.catalogue import Catalogue
from shared.runtime.account_keys import OpenKeys
from shared.runtime.database import Database
from shared.runtime.sealing import Sealer
from tests.support.world import an_account

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
CALLS = count(1)
SEALER = Sealer(b"0" * 32)
KEY = SEALER.new_wrapped_key()
KEYS = OpenKeys([SEALER.unwrapped(KEY)], erased=False)
CATALOGUE = Catalogue.load()
CONTENTS = ("ALIYUN/soft", "ALIYUN/hw")
Row = dict[str, Any]


def a_title(
    registration: Registration, account_id: int = 1, version: int = 1, status: str = "active", title_id: int = 1
) -> TitleChanged:
    """What title says of a registration."""
    plain = registration.model_dump(exclude_none=True)
    sealed = {name: SEALER.seal(KEY, text, f"{account_id}/{name}") for name, text in plain.items() if name != "kind"}
    common = {"account_id": account_id, "title_id": title_id, "version": version, "status": status}
    return TitleChanged.model_validate(common | sealed | {"kind": registration.kind})


def a_group(group_no: int, content: str, amount_fen: int) -> Group:
    subject = CATALOGUE.subjects[CATALOGUE.contents[content].subject]
    return Group(
        group_no=group_no,
        account_id=1,
        subject=subject.key,
        content=content,
        tax_percent=subject.tax_percent,
        cycle="202603",
        count=1,
        amount_fen=amount_fen,
        oldest_at=NOW,
    )


class Desk:
    """One account at invoicing's desk."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # what title and the ledger say

    async def heard(self, *facts: TitleChanged | AccountStatusChanged) -> None:
        async with self.database.transaction() as db:
            for fact in facts:
                if isinstance(fact, TitleChanged):
                    await accounts.title_changed(fact, db, NOW)
                else:
                    await accounts.account_status_changed(fact, db, NOW)

    async def knows(self, account_id: int = 1, kind: str = "enterprise", **changed: str | None) -> None:
        """An open account with a complete title, or with one field of it changed."""
        registration = an_account(account_id, kind, at=NOW).registration.model_copy(update=changed)
        await self.heard(
            a_title(registration, account_id),
            AccountStatusChanged(account_id=account_id, version=1, status="open"),
        )

    async def reserved(self, request_id: int, *amounts_fen: int) -> list[Message]:
        """One group a subject: the first at 6 %, the second at 13 %."""
        named = zip(CONTENTS, amounts_fen, strict=False)
        groups = tuple(a_group(number, content, amount) for number, (content, amount) in enumerate(named, 1))
        fact = BalanceReserved(
            account_id=1, request_id=request_id, reservation_id=request_id, groups=groups, total_fen=sum(amounts_fen)
        )
        async with self.database.transaction() as db:
            return await issuing.balance_reserved(fact, db, NOW, catalogue=CATALOGUE)

    async def ledger_refused(self, request_id: int) -> list[Message]:
        detail: dict[str, int | str] = {"need_fen": 2, "have_fen": 1, "shortfall_fen": 1}
        fact = ReservationRefused(account_id=1, request_id=request_id, reason="INSUFFICIENT_INVOICEABLE", detail=detail)
        async with self.database.transaction() as db:
            return await requests.reservation_refused(fact, db, NOW)

    # what a customer asks

    async def asked(self, ask: InvoiceIntent) -> tuple[AcceptedRequest | Refused, list[Message]]:
        async with self.database.transaction() as db:
            return await requests.request_invoice(ask, db, NOW, unseal=KEYS.unseal)

    async def taken(self, key: str = "k1") -> int:
        answer, _ = await self.asked(InvoiceIntent(1, key, numbers=("O1",)))
        assert isinstance(answer, AcceptedRequest), answer
        return answer.request_id

    async def cancelled(self, request_id: int) -> tuple[str | Refused, list[Message]]:
        """With the rights of whoever acts for a customer."""
        async with self.database.transaction(account_id=1) as db:
            return await issuing.cancel_request(CancelIntent(1, request_id), db, NOW)

    # what the workers do

    async def claim(self, at: datetime = NOW) -> ClaimedPart | None:
        async with self.database.transaction() as db:
            return await claims.claim_due(db, at, at)

    async def claimed(self, at: datetime = NOW) -> ClaimedPart:
        part = await self.claim(at)
        assert part is not None
        return part

    async def came(self, part: ClaimedPart, answer: Answer) -> list[Message]:
        async with self.database.transaction() as db:
            return await issuing.part_answered(part, answer, db, NOW)

    async def called_back(self, serial: str, at: datetime = NOW) -> None:
        """The platform speaks of a serial by itself."""
        call = call_about(serial, f"call-{next(CALLS)}")
        if call is None:
            return
        async with self.database.transaction() as db:
            await platform_called(call, db, at, tables=SUBMITTED)

    async def queued_part(self, gross_fen: int = 106_000) -> int:
        """A request with one part in the queue."""
        request_id = await self.taken()
        await self.reserved(request_id, gross_fen)
        return request_id

    async def told_quota(self, limit_net_fen: int | None, used_net_fen: int = 0, at: datetime = NOW) -> bool:
        """What the platform says when it is asked, None being nothing; whether it was asked."""
        async with self.database.transaction() as db:
            asked = await quotas.claim_due(db, at, at)
        if asked is not None:
            async with self.database.transaction() as db:
                answer = Unknown("timeout") if limit_net_fen is None else QuotaTold(limit_net_fen, used_net_fen)
                await issuing.quota_answered(asked, answer, db, at)
        return asked is not None

    async def looked(self, at: datetime = NOW) -> list[Message] | None:
        """What is said of the next part that waits for quota; None when none is to look."""
        async with self.database.transaction() as db:
            part = await parts.next_waiting(db, at, at)
            return None if part is None else await issuing.quota_looked_for(part, db, at)

    async def quota(self) -> list[tuple[str, int | None, int, int, int]]:
        """Month, limit, other, held, issued."""
        rows = await self.rows("SELECT * FROM quota ORDER BY legal_entity, month")
        names = ("month", "limit_net_fen", "other_net_fen", "held_net_fen", "issued_net_fen")
        return [tuple(row[name] for name in names) for row in rows]

    async def job(self, at: datetime = NOW) -> InvoiceFileJob | None:
        async with self.database.transaction() as db:
            return await files.claim_due(db, at, at)

    async def made(self, job: InvoiceFileJob, made: FilesMade | FilesDelayed) -> list[Message]:
        async with self.database.transaction() as db:
            return await invoice_files.files_answered(job, made, db, NOW)

    # what can be seen

    async def rows(self, query: str) -> list[Row]:
        async with self.database.read() as db:
            return [dict(row) for row in await db.fetch(query)]

    async def request(self) -> Row:
        (row,) = await self.rows("SELECT status, reason, cancel_wished, closed_at FROM request")
        return row

    async def parts(self) -> list[Row]:
        return await self.rows("SELECT * FROM part ORDER BY part_no")

    async def part(self) -> Row:
        (row,) = await self.parts()
        return row

    async def history(self) -> list[str]:
        rows = await self.rows("SELECT from_status || ' ' || to_status AS step FROM part_history ORDER BY change_no")
        return [row["step"] for row in rows]


def names(messages: Sequence[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
