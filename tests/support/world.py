"""The flow's services on a stage, with a platform, a mail server and an SMS gateway that keep what they get."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.direct import DirectTaxPlatform, Fault
from deploy.sandbox.tax_platform.memory import Memory
from deploy.verify.world import Row, Seen
from services.invoicing.accounts.refusals import Refused
from services.invoicing.accounts.rules import Unseal
from services.invoicing.app import SUBMITTED, invoicing
from services.invoicing.credit_notes.handlers import request_credit_note
from services.invoicing.credit_notes.intents import AcceptedCreditNote, CreditNoteIntent
from services.invoicing.invoice_files.face import InvoiceFace
from services.invoicing.invoice_files.rendering.frames import RenderedFile
from services.invoicing.issuing.handlers import cancel_request
from services.invoicing.requests.handlers import request_invoice
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from services.invoicing.submissions.handlers import platform_called
from services.invoicing.submissions.rules import call_about
from services.invoicing.tax_platforms.routing import Platforms
from services.ledger.app import build as ledger
from services.notification.app import notification
from services.notification.channels.port import Mail, SendAnswer, Sent, Sms
from services.title.accounts.rules import in_use
from services.title.accounts.store import keys as keys_of
from services.title.app import build as title
from services.title.erasures.handlers import erase_account
from services.title.erasures.rules import Erasure, ErasureIntent
from shared.contracts.accounts import AccountRegistered, Registration
from shared.domain.credit_code import check_character
from shared.runtime.account_keys import KeyAway, OpenKeys
from shared.runtime.database import Database
from shared.runtime.objects import ObjectStore
from shared.runtime.parked import forget
from shared.runtime.sealing import Sealer
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from tests.support.databases import Databases
from tests.support.stage import Stage

SETTINGS = Settings(_env_file=None)
T = TypeVar("T")


class _Open:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Faces(_Open):
    """Stands for the drawing process: the face as JSON, so that nothing is drawn ten thousand times."""

    async def render(self, face: InvoiceFace) -> list[RenderedFile]:
        content = json.dumps(asdict(face), default=str, ensure_ascii=False).encode()
        digest = hashlib.sha256(content).hexdigest()
        return [
            RenderedFile(f"{face.number}.{suffix}", f"application/{suffix}", content, digest)
            for suffix in ("pdf", "xml")
        ]


@dataclass
class Mailbox(_Open):
    mails: list[Mail] = field(default_factory=list)

    async def send(self, mail: Mail) -> SendAnswer:
        self.mails.append(mail)
        return Sent()


@dataclass
class Phones(_Open):
    messages: list[Sms] = field(default_factory=list)

    async def send(self, sms: Sms) -> SendAnswer:
        self.messages.append(sms)
        return Sent()


@dataclass
class Held:
    """Keys that somebody has in hand."""

    keys: OpenKeys = field(default_factory=lambda: OpenKeys((), erased=False))

    async def using(self, _: int, work: Callable[[Unseal], Awaitable[T]]) -> T:
        return await work(self.keys.unseal)


@dataclass
class DirectKeys:
    """Title's keys, asked of its store instead of its route: no server, and nothing kept. While `away` nobody answers."""

    stage: Stage
    away: bool = False

    async def using(self, account_id: int, work: Callable[[Unseal], Awaitable[T]]) -> T:
        sealer = Sealer.from_setting(SETTINGS.sealing_key.get_secret_value())
        async with self.stage.processes["title"].database.read(account_id) as db:
            kept = await keys_of(db, account_id)
        wrapped = in_use(kept)
        known = OpenKeys([sealer.unwrapped(one) for one in wrapped], len(wrapped) < len(kept))
        return await work(self._nobody if self.away else known.unseal)

    def _nobody(self, _: str, __: str) -> str:
        raise KeyAway


class FlowWorld:
    """Accounts, bills and requests go in; what came of them can be seen. Shows itself to the invariants checker too."""

    def __init__(
        self, at: datetime, seed: int = 0, issue_delay_seconds: float = 0.0, fault: Fault = lambda: ""
    ) -> None:
        self.stage = Stage(at, seed)
        self.storage = Memory()
        self.platform = Platform(self.storage, self.stage.clock.now, issue_delay_seconds)
        self.platforms = Platforms(usual=DirectTaxPlatform(self.platform, fault), by_legal_entity={})
        self.mailbox, self.phones = Mailbox(), Phones()
        self.keys = DirectKeys(self.stage)
        self.logs: list[Path] = []
        self.calls = 0

    @property
    def platform_log(self) -> list[Row]:
        return self.storage.rows

    async def open(
        self,
        databases: Databases,
        files: Path,
        kind: type[Database] = Database,
        changed: Callable[[Service], Service] = lambda service: service,
    ) -> Self:
        """`changed`: what a test puts around a service's handlers."""
        objects = ObjectStore(files.as_uri())
        faces = Faces()
        for service in (
            title(SETTINGS),
            ledger(SETTINGS),
            invoicing(SETTINGS, self.platforms, faces, objects, self.keys),  # type: ignore[arg-type]
            notification(SETTINGS, self.mailbox, self.phones, objects, self.keys),
        ):
            await self.stage.add(changed(service), databases, kind)
        return self

    async def close(self) -> None:
        await self.stage.close()

    # what goes in

    async def request(self, intent: InvoiceIntent, of: Runtime | None = None) -> AcceptedRequest | Refused:
        """`of`: another process of invoicing than the stage's."""
        runtime = of or self.stage.processes["invoicing"].runtime

        def asked(unseal: Unseal) -> Awaitable[AcceptedRequest | Refused]:
            return runtime.intent(partial(request_invoice, unseal=unseal), intent)

        return await self.keys.using(intent.account_id, asked)

    async def erase(self, account_id: int) -> Erasure | None:
        intent = ErasureIntent(account_id, "li", "case 1")
        return await self.stage.processes["title"].runtime.intent(partial(erase_account, forget=forget), intent)

    async def cancel(self, intent: CancelIntent, of: Runtime | None = None) -> str | Refused:
        return await (of or self._invoicing).intent(cancel_request, intent)

    async def credit(self, intent: CreditNoteIntent, of: Runtime | None = None) -> AcceptedCreditNote | Refused:
        return await (of or self._invoicing).intent(request_credit_note, intent)

    async def call_back(self, serial: str, of: Runtime | None = None) -> None:
        self.calls += 1
        call = call_about(serial, f"call-{self.calls}")
        assert call is not None
        await (of or self._invoicing).intent(partial(platform_called, tables=SUBMITTED), call)

    @property
    def _invoicing(self) -> Runtime:
        return self.stage.processes["invoicing"].runtime

    # what the checker sees

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]:
        async with self.stage.processes[service].database.read() as db:
            return [dict(row) for row in await db.fetch(query, *arguments)]

    @property
    def shortened(self) -> list[str]:
        return []

    def records(self, topic: str) -> list[Seen]:
        return [
            Seen(topic, partition.number, record.offset, record.key, record.value, dict(record.headers))
            for partition in self.stage.log.of_topic(topic)
            for record in self.stage.log.records[partition]
        ]


def a_credit_code(number: int) -> str:
    first = f"91330106{number:09d}"
    return first + check_character(first)


def an_account(
    account_id: int = 1, kind: str = "enterprise", name: str = "示例科技有限公司", at: datetime | None = None
) -> AccountRegistered:
    """A complete enterprise with a mailbox and a mobile number."""
    assert at is not None
    enterprise = kind == "enterprise"
    registration = Registration.model_validate(
        {
            "kind": kind,
            "name": name,
            "tax_id": a_credit_code(account_id) if enterprise else None,
            "address": "杭州市西湖区文三路 1 号" if enterprise else None,
            "phone": "0571-10000000" if enterprise else None,
            "bank_name": "招商银行杭州分行" if enterprise else None,
            "bank_account": f"62220000{account_id:010d}" if enterprise else None,
        }
    )
    return AccountRegistered(
        account_id=account_id,
        occurred_at=at,
        registration=registration,
        mailbox=f"finance-{account_id}@customer.example",
        mobile=f"139{account_id:08d}",
    )
