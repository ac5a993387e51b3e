"""What the outside does: upstream systems, customers, buyers and sellers in the bureau, and the tax platform."""

import asyncio
from datetime import timedelta

from deploy.sandbox.tax_platform.core import AMPLE_FEN
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled
from shared.contracts.message import Message
from shared.domain.calendar import cycle_of
from shared.domain.catalogue import Catalogue
from tests.simulation.faults import FaultyDatabase
from tests.simulation.processes import Processes
from tests.simulation.scene import START, Scene
from tests.support.world import an_account

ACCOUNTS = (1, 2, 3)
UNLUCKY = 3
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_TELECOM")
BUYERS = ("", "", "", "BUYER_TICKED", "BUYER_REFUSES", "BUYER_CONFIRMS")
"""What a remark makes of the red confirmation form; mostly nobody has to confirm it."""
FORM_STATES = ("02", "04", "05", "07", "09")
SELLERS = ("ALIYUN", "ALICOM")


class Outside:
    def __init__(self, scene: Scene, processes: Processes) -> None:
        self.scene = scene
        self.random, self.stage, self.world = scene.random, scene.stage, scene.world
        self.processes = processes
        self.sent: list[tuple[Message, str, str]] = []
        self.numbers: dict[int, list[str]] = {account: [] for account in ACCOUNTS}
        self.asked: list[tuple[int, int]] = []
        """Account and request of what was asked for."""

    async def registrations(self) -> None:
        for account in ACCOUNTS:
            name = "FAIL_BUYER_TAXNO 公司" if account == UNLUCKY else f"模拟公司{account}"
            self._publish(an_account(account, name=name, at=START), "/upstream/accounts")
        self.scene.calm = True
        await self.stage.settle()
        self.scene.calm = False

    def _publish(self, message: Message, source: str) -> None:
        event_id = f"up-{len(self.sent)}"
        self.sent.append((message, event_id, source))
        self.stage.publish(message, event_id, source)
        self.scene.note("publish", type(message).__name__, message.account_id)

    async def bill(self) -> None:
        account, now = self.random.choice(ACCOUNTS), self.stage.clock.now()
        number = f"D{len(self.sent)}"
        line = Line(subject=self.random.choice(SUBJECTS), cash_fen=self.random.randint(1, 50_000))
        kind = self.random.choice(("order", "order", "bill", "refund", "cash"))
        if kind == "refund" and self.numbers[account]:
            original = self.random.choice(self.numbers[account])
            lines = (RefundLine(cash_fen=self.random.randint(1, 5_000)),)
            refund = RefundSettled(
                account_id=account, number=number, original_number=original, occurred_at=now, lines=lines
            )
            self._publish(refund, "/upstream/billing")
        elif kind == "cash":
            fact = CashToppedUp(
                account_id=account, occurred_at=now, number=number, cash_fen=self.random.randint(1, 1000)
            )
            self._publish(fact, "/upstream/accounts")
        elif kind == "bill":
            cycle = cycle_of(now - timedelta(days=40))
            self._publish(
                BillSettled(account_id=account, number=number, cycle=cycle, occurred_at=now, lines=(line,)),
                "/upstream/billing",
            )
            self.numbers[account].append(number)
        else:
            self._publish(
                OrderPaid(account_id=account, number=number, occurred_at=now, lines=(line,)), "/upstream/billing"
            )
            self.numbers[account].append(number)

    async def repeat_event(self) -> None:
        """An upstream that was not sure whether the first one went out."""
        message, event_id, source = self.random.choice(self.sent)
        self.scene.result.faults += 1
        self.stage.publish(message, event_id, source)
        self.scene.note("repeat", event_id)

    def _some_intent(self, account: int) -> InvoiceIntent:
        key = f"k{self.random.randint(0, 40)}"
        chosen = self.random.sample(self.numbers[account], min(len(self.numbers[account]), self.random.randint(1, 4)))
        how = self.random.random()
        if chosen and how < 0.5:
            return InvoiceIntent(account, key, numbers=tuple(sorted(chosen)))
        if how < 0.6:
            return InvoiceIntent(account, key, cycles=(cycle_of(self.stage.clock.now()),))
        if how < 0.7:
            return InvoiceIntent(account, key, subject=self.random.choice(SUBJECTS), pays_deficit=True)
        return InvoiceIntent(account, key, amount_fen=self.random.randint(1, 60_000))

    async def request(self) -> None:
        account = self.random.choice(ACCOUNTS)
        await self.processes.crashing("invoicing", lambda: self._request(self._some_intent(account)))

    async def _request(self, intent: InvoiceIntent) -> None:
        answer = await self.world.request(intent)
        self.scene.note("ask", intent.account_id, intent.idempotency_key, repr(answer))
        if hasattr(answer, "request_id"):
            self.asked.append((intent.account_id, answer.request_id))

    async def cancel(self) -> None:
        if self.asked:
            account, request_id = self.random.choice(self.asked)
            await self.processes.crashing("invoicing", lambda: self._cancel(account, request_id))

    async def _cancel(self, account: int, request_id: int) -> None:
        self.scene.note("cancel", account, request_id, repr(await self.world.cancel(CancelIntent(account, request_id))))

    async def credit(self) -> None:
        """Of any invoice there is, also one that is being credited, or is already."""
        blue = [row for row in self.world.platform_log if row["event"] == "issued" and "of" not in row]
        if not blue:
            return
        part = {
            row["serial"]: row
            for row in await self.world.rows("invoicing", "SELECT serial, account_id FROM platform_serial")
        }
        chosen = self.random.choice(blue)
        key, remark = f"c{self.random.randint(0, 40)}", self.random.choice(BUYERS)
        intent = CreditNoteIntent(part[chosen["serial"]]["account_id"], key, chosen["number"], remark=remark)
        await self.processes.crashing("invoicing", lambda: self._credit(intent))

    async def _credit(self, intent: CreditNoteIntent) -> None:
        self.scene.note("credit", intent.account_id, intent.number, repr(await self.world.credit(intent)))

    async def form(self) -> None:
        """Buyer, seller or bureau do something with a form: confirm, reject, withdraw."""
        forms = sorted(filter(None, map(self.world.platform.form_of, sorted(self.world.storage.tasks))))
        if forms:
            form, state = self.random.choice(forms), self.random.choice(FORM_STATES)
            self.scene.note("form", form, state, self.world.platform.set_form(form, state))

    async def call_back(self) -> None:
        """The platform speaks by itself of any serial it knows: early, late, twice, or of what has long ended."""
        serials = sorted(self.world.storage.tasks)
        if not serials:
            return
        serial = self.random.choice(serials)
        self.scene.note("call back", serial)
        await self.processes.crashing("invoicing", lambda: self.world.call_back(serial))

    async def overlap(self) -> None:
        """A commit hangs; a later one passes it, and the relay runs in between."""
        process = self.stage.processes["invoicing"]
        assert isinstance(process.database, FaultyDatabase)
        first, second = self.random.sample(ACCOUNTS, 2)
        intents = self._some_intent(first), self._some_intent(second)
        process.database.hold_next()
        held, release = process.database.held, process.database.release
        assert held is not None
        assert release is not None
        slow = asyncio.create_task(self._request(intents[0]))
        await held.wait()
        await self._request(intents[1])
        await process.runtime.relay.step()
        release.set()
        await slow
        self.scene.note("overlap", first, second)

    async def grant(self) -> None:
        """The tax bureau raises or lowers what a seller may issue this month, also below what is issued."""
        seller = Catalogue.load().legal_entities[self.random.choice(SELLERS)]
        limit_fen = self.random.choice((0, 20_000, 200_000, AMPLE_FEN))
        month = cycle_of(self.stage.clock.now())
        used_fen = self.world.storage.quota(seller.tax_id, month).used_net_fen
        self.world.platform.set_quota(seller.tax_id, month, limit_fen, used_fen)
        self.scene.note("grant", seller.tax_id, limit_fen)

    def grant_enough(self) -> None:
        """Whatever waits for quota need not wait any longer."""
        for (tax_id, month), quota in list(self.world.storage.quotas.items()):
            self.world.platform.set_quota(tax_id, month, AMPLE_FEN, quota.used_net_fen)
