"""What customers, buyers, sellers in the bureau and the tax platform do. Upstream systems have a file of their own."""

from collections.abc import Awaitable, Callable
from functools import partial

from deploy.sandbox.tax_platform.core import AMPLE_FEN
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from shared.domain.calendar import cycle_of
from shared.domain.catalogue import Catalogue
from tests.simulation.faults import FaultyDatabase, HoldsOne, Work
from tests.simulation.processes import Processes
from tests.simulation.races import Races
from tests.simulation.scene import Scene
from tests.simulation.upstream import ACCOUNTS, SUBJECTS, Upstream
from tests.support.stage import Process

BUYERS = ("", "", "", "BUYER_TICKED", "BUYER_REFUSES", "BUYER_CONFIRMS")
"""What a remark makes of the red confirmation form; mostly nobody has to confirm it."""
FORM_STATES = ("02", "04", "05", "07", "09")
SELLERS = ("ALIYUN", "ALICOM")

Ask = Callable[[Process], Work | None]


class Outside:
    def __init__(self, scene: Scene, processes: Processes, upstream: Upstream, races: Races) -> None:
        self.scene = scene
        self.random, self.stage, self.world = scene.random, scene.stage, scene.world
        self.processes, self.upstream, self.races = processes, upstream, races
        self.asked: list[tuple[int, int]] = []
        """Account and request of what was asked for."""
        races.asks += [self._a_request, self._a_request, self._a_cancel, self._a_credit, self._a_call]

    def _ask(self, kind: str, ask: Ask) -> Awaitable[None]:
        process = self.random.choice(self.processes.of("invoicing"))
        work = ask(process)
        return _nothing() if work is None else self.processes.attempt(process, kind, work)

    async def request(self) -> None:
        await self._ask("request", self._a_request)

    async def cancel(self) -> None:
        await self._ask("cancel", self._a_cancel)

    async def credit(self) -> None:
        """Of any invoice there is, also one that is being credited, or is already."""
        await self._ask("credit note", self._a_credit)

    async def call_back(self) -> None:
        """The platform speaks by itself of any serial it knows: early, late, twice, or of what has long ended."""
        await self._ask("call", self._a_call)

    def _a_request(self, process: Process) -> Work:
        return partial(self._request, process, self._some_intent(self.random.choice(ACCOUNTS)))

    def _some_intent(self, account: int) -> InvoiceIntent:
        key = f"k{self.random.randint(0, 40)}"
        numbers = self.upstream.numbers[account]
        chosen = self.random.sample(numbers, min(len(numbers), self.random.randint(1, 4)))
        how = self.random.random()
        if chosen and how < 0.5:
            return InvoiceIntent(account, key, numbers=tuple(sorted(chosen)))
        if how < 0.6:
            return InvoiceIntent(account, key, cycles=(cycle_of(self.stage.clock.now()),))
        if how < 0.7:
            return InvoiceIntent(account, key, subject=self.random.choice(SUBJECTS), pays_deficit=True)
        return InvoiceIntent(account, key, amount_fen=self.random.randint(1, 60_000))

    async def _request(self, process: Process, intent: InvoiceIntent) -> None:
        answer = await self.world.request(intent, process.runtime)
        self.scene.note("ask", intent.account_id, intent.idempotency_key, repr(answer))
        if hasattr(answer, "request_id"):
            self.asked.append((intent.account_id, answer.request_id))

    def _a_cancel(self, process: Process) -> Work | None:
        return partial(self._cancel, process, *self.random.choice(self.asked)) if self.asked else None

    async def _cancel(self, process: Process, account: int, request_id: int) -> None:
        answer = await self.world.cancel(CancelIntent(account, request_id), process.runtime)
        self.scene.note("cancel", account, request_id, repr(answer))

    def _a_credit(self, process: Process) -> Work | None:
        blue = [row for row in self.world.platform_log if row["event"] == "issued" and "of" not in row]
        if not blue:
            return None
        key, remark = f"c{self.random.randint(0, 40)}", self.random.choice(BUYERS)
        return partial(self._credit, process, self.random.choice(blue), key, remark)

    async def _credit(self, process: Process, blue: dict[str, str], key: str, remark: str) -> None:
        query = "SELECT account_id FROM platform_serial WHERE serial = $1"
        (row,) = await self.world.rows("invoicing", query, blue["serial"])
        intent = CreditNoteIntent(row["account_id"], key, blue["number"], remark=remark)
        self.scene.note(
            "credit", intent.account_id, intent.number, repr(await self.world.credit(intent, process.runtime))
        )

    def _a_call(self, process: Process) -> Work | None:
        serials = sorted(self.world.storage.tasks)
        return partial(self._call, process, self.random.choice(serials)) if serials else None

    async def _call(self, process: Process, serial: str) -> None:
        self.scene.note("call back", serial)
        await self.world.call_back(serial, process.runtime)

    async def form(self) -> None:
        """Buyer, seller or bureau do something with a form: confirm, reject, withdraw."""
        forms = sorted(filter(None, map(self.world.platform.form_of, sorted(self.world.storage.tasks))))
        if forms:
            form, state = self.random.choice(forms), self.random.choice(FORM_STATES)
            self.scene.note("form", form, state, self.world.platform.set_form(form, state))

    async def overlap(self) -> None:
        """A commit hangs; a later one of another process passes it, and the relay runs in between."""
        first, second = self.random.sample(self.processes.of("invoicing"), 2)
        assert isinstance(first.database, FaultyDatabase)
        accounts = self.random.sample(ACCOUNTS, 2)
        slow, quick = (self._some_intent(account) for account in accounts)
        hold = HoldsOne(0)
        self.scene.happened("commit hangs")
        self.scene.note("overlap", accounts)
        first.database.hold(hold)
        await self.races.meanwhile(partial(self._request, first, slow), hold, partial(self._passing, second, quick))
        first.database.hold(None)

    async def _passing(self, process: Process, intent: InvoiceIntent) -> None:
        await self._request(process, intent)
        await self.processes.attempt(process, "relay", process.runtime.relay.step)

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


async def _nothing() -> None:
    pass
