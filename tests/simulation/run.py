"""One seed: a random story with random faults, then rest, then the invariants."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from deploy.sandbox.tax_platform.core import AMPLE_FEN
from deploy.verify.__main__ import violations
from services.invoicing.domain.credit_notes import CreditAsk
from services.invoicing.domain.requests import Ask, Cancel
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled
from shared.contracts.message import Message
from shared.domain.calendar import SHANGHAI, cycle_of
from shared.domain.catalogue import Catalogue
from shared.runtime.outbox import Relay
from shared.runtime.workers import JobRunner, WorkerRunner
from tests.simulation.faults import Crash, FaultyDatabase, small_limits
from tests.support.databases import Databases
from tests.support.stage import Process, Stage
from tests.support.world import FlowWorld, an_account

START = datetime(2026, 3, 31, 23, 30, tzinfo=SHANGHAI)
ACCOUNTS = (1, 2, 3)
UNLUCKY = 3
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_TELECOM")
BUYERS = ("", "", "", "BUYER_TICKED", "BUYER_REFUSES", "BUYER_CONFIRMS")
"""What a remark makes of the red confirmation form; mostly nobody has to confirm it."""
FORM_STATES = ("02", "04", "05", "07", "09")
SELLERS = ("ALIYUN", "ALICOM")
STEPS = (100, 250)
STEPS_AFTER = 250
STEPS_CREDITING = 120
EAGER = {"issue": 14, "credit": 8, "documents": 3, "hold": 3, "allocate": 6, "answer": 3, "book": 6}
"""Workers that are looked at more often: most of what can go wrong goes wrong there."""
REST_SECONDS = (1, 5, 30, 70, 70, 120, 600, 600, 3600, 3600, 3600, 3600)


@dataclass
class Work:
    """A worker with a claimed row in hand; it may be slow, or dead."""

    process: str
    runner: WorkerRunner
    claimed: Any
    answer: Any = None
    called: bool = False


@dataclass
class Result:
    seed: int
    steps: int = 0
    faults: int = 0
    documents: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    log_hash: str = ""


class CrashingRelay(Relay):
    """Can die between sending and marking."""

    def __init__(self, relay: Relay, dies: Callable[[], bool]) -> None:
        self.__dict__.update(relay.__dict__)
        self._dies = dies
        real = self._transport

        class Wire:
            async def send(self, records: Any) -> None:  # noqa: ANN401
                await real.send(records)
                if dies():
                    raise Crash

        self._transport = Wire()  # type: ignore[assignment]


class Simulation:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.result = Result(seed)
        self.rate = self.random.choice((0.0, 0.05, 0.15, 0.3))
        self.platform_rate = self.random.choice((0.0, 0.2, 0.5))
        delay = self.random.choice((0.0, 2.0, 40.0))
        self.world = FlowWorld(START, seed, delay, self._platform_fault)
        self.stage: Stage = self.world.stage
        self.log = hashlib.blake2b(digest_size=16)
        self.work: list[Work] = []
        self.sent: list[tuple[Message, str, str]] = []
        self.numbers: dict[int, list[str]] = {account: [] for account in ACCOUNTS}
        self.asked: list[tuple[int, int]] = []
        self.owners: list[Process] = []
        self.calm = False

    async def run(self, databases: Databases, folder: Path) -> Result:
        """Every other seed calls a reservation large that takes more than three items."""
        with small_limits() if self.result.seed % 2 else nullcontext():
            return await self._run(databases, folder)

    async def _run(self, databases: Databases, folder: Path) -> Result:
        await self.world.open(databases, folder, FaultyDatabase)
        try:
            await self._registrations()
            await self._second_owners()
            for _ in range(self.random.randint(*STEPS)):
                await self._step(busy=True)
            for _ in range(STEPS_AFTER):
                await self._step()
            await self._pause()
            for _ in range(STEPS_CREDITING):
                await self._step(crediting=True)
            await self._rest()
            self.result.violations = await violations(self.world)
        finally:
            await self.world.close()
        self.result.documents = sum(row["event"] == "issued" for row in self.world.platform_log)
        self.result.log_hash = self.log.hexdigest()
        return self.result

    # the scheduler

    async def _step(self, busy: bool = False, crediting: bool = False) -> None:
        """While `busy`, people and upstream do things too; later only processes do, and at last those who want an invoice credited.
        Things still go wrong.
        """
        inputs: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (5, self._bill),
            (7, self._ask),
            (1, self._cancel),
            (2, self._repeat_event),
            (1, self._overlap),
            (1, self._grant),
        ]
        processes: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (30, self._deliver),
            (20, self._relay),
            (22, self._claim),
            (28, self._progress),
            (3, self._call_back),
            (6, self._time),
            (2, self._rewind),
            (1, self._kill),
        ]
        credits_: list[tuple[int, Callable[[], Awaitable[None]]]] = [(12, self._credit), (5, self._form)]
        actions = (inputs if busy else []) + (credits_ if crediting else []) + processes
        (action,) = self.random.choices([one for _, one in actions], [weight for weight, _ in actions])
        await action()
        self.result.steps += 1

    def _note(self, *what: object) -> None:
        self.log.update(repr(what).encode())

    def _wrong(self, rate: float | None = None) -> bool:
        if self.calm or self.random.random() >= (self.rate if rate is None else rate):
            return False
        self.result.faults += 1
        return True

    def _platform_fault(self) -> str:
        return self.random.choice(("lose_request", "lose_answer")) if self._wrong(self.platform_rate) else ""

    def _process(self) -> Process:
        return self.stage.processes[self.random.choice(sorted(self.stage.processes))]

    # what people and upstream do

    async def _registrations(self) -> None:
        for account in ACCOUNTS:
            name = "FAIL_BUYER_TAXNO 公司" if account == UNLUCKY else f"模拟公司{account}"
            self._publish(an_account(account, name=name, at=START), "/upstream/accounts")
        self.calm = True
        await self.stage.settle()
        self.calm = False

    async def _second_owners(self) -> None:
        """Another process of each service, on the same database, that believes to own the same partitions."""
        for name in sorted(self.stage.processes):
            one = self.stage.processes[name]
            other = Process(one.service, one.database, one.log, one.clock, one.new_id, "2")
            await other.start()
            self.owners += [one, other]

    def _publish(self, message: Message, source: str) -> None:
        event_id = f"up-{len(self.sent)}"
        self.sent.append((message, event_id, source))
        self.stage.publish(message, event_id, source)
        self._note("publish", type(message).__name__, message.account_id)

    async def _bill(self) -> None:
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

    async def _repeat_event(self) -> None:
        """An upstream that was not sure whether the first one went out."""
        message, event_id, source = self.random.choice(self.sent)
        self.result.faults += 1
        self.stage.publish(message, event_id, source)
        self._note("repeat", event_id)

    def _some_ask(self, account: int) -> Ask:
        key = f"k{self.random.randint(0, 40)}"
        chosen = self.random.sample(self.numbers[account], min(len(self.numbers[account]), self.random.randint(1, 4)))
        how = self.random.random()
        if chosen and how < 0.5:
            return Ask(account, key, numbers=tuple(sorted(chosen)))
        if how < 0.6:
            return Ask(account, key, cycles=(cycle_of(self.stage.clock.now()),))
        if how < 0.7:
            return Ask(account, key, subject=self.random.choice(SUBJECTS), pays_deficit=True)
        return Ask(account, key, amount_fen=self.random.randint(1, 60_000))

    async def _ask(self) -> None:
        account = self.random.choice(ACCOUNTS)
        await self._crashing("invoicing", lambda: self._request(self._some_ask(account)))

    async def _request(self, ask: Ask) -> None:
        answer = await self.world.request(ask)
        self._note("ask", ask.account_id, ask.idempotency_key, repr(answer))
        if hasattr(answer, "request_id"):
            self.asked.append((ask.account_id, answer.request_id))

    async def _cancel(self) -> None:
        if self.asked:
            account, request_id = self.random.choice(self.asked)
            await self._crashing("invoicing", lambda: self._wish(account, request_id))

    async def _wish(self, account: int, request_id: int) -> None:
        self._note("cancel", account, request_id, repr(await self.world.cancel(Cancel(account, request_id))))

    async def _credit(self) -> None:
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
        ask = CreditAsk(part[chosen["serial"]]["account_id"], key, chosen["number"], remark=remark)
        await self._crashing("invoicing", lambda: self._ask_credit(ask))

    async def _ask_credit(self, ask: CreditAsk) -> None:
        self._note("credit", ask.account_id, ask.number, repr(await self.world.credit(ask)))

    async def _form(self) -> None:
        """Buyer, seller or bureau do something with a form: confirm, refuse, withdraw."""
        forms = sorted(filter(None, map(self.world.platform.form_of, sorted(self.world.storage.tasks))))
        if forms:
            form, state = self.random.choice(forms), self.random.choice(FORM_STATES)
            self._note("form", form, state, self.world.platform.set_form(form, state))

    # what processes do

    async def _crashing(self, name: str, work: Callable[[], Awaitable[object]], dying: Process | None = None) -> None:
        """The process may die in the middle of it; then it starts anew."""
        process = dying or self.stage.processes[name]
        assert isinstance(process.database, FaultyDatabase)
        if self._wrong():
            process.database.arm(self.random.choice(("before", "after")), self.random.randint(0, 2))
        try:
            await work()
        except Crash:
            self._note("crash", name)
            await self._restart(process)
        process.database.plan = None

    async def _restart(self, process: Process) -> None:
        await process.start()
        self.work = [work for work in self.work if work.process != process.service.name or self.random.random() < 0.3]

    async def _kill(self) -> None:
        process = self._process()
        self.result.faults += 1
        self._note("kill", process.service.name)
        await self._restart(process)

    async def _deliver(self) -> None:
        waiting = [(process, *place) for process in self.owners for place in process.has_mail()]
        if not waiting:
            return
        process, subscription, partition = self.random.choice(waiting)
        count = self.random.choice((1, 2, 5, 50))
        self._note("deliver", subscription.group, partition, subscription.position[partition], count)
        work = lambda: process.transport.deliver(subscription, partition, count)  # noqa: E731
        await self._crashing(process.service.name, work, process)

    async def _rewind(self) -> None:
        """A rebalance gave the partition to somebody who starts further back; or two owners at once."""
        process = self._process()
        places = [(sub, part) for sub, part in process.partitions() if sub.position[part] > 0]
        if not places:
            return
        subscription, partition = self.random.choice(places)
        subscription.position[partition] = self.random.randint(0, subscription.position[partition] - 1)
        self.result.faults += 1
        self._note("rewind", subscription.group, partition, subscription.position[partition])

    async def _relay(self) -> None:
        process = self._process()
        relay = CrashingRelay(process.runtime.relay, self._wrong)
        try:
            await relay.step()
        except Crash:
            await self._restart(process)
        self._note("relay", process.service.name)

    async def _claim(self) -> None:
        choices = [
            (name, runner)
            for name in sorted(self.stage.processes)
            for runner in self.stage.processes[name].runtime.runners
        ]
        weights = [EAGER.get(runner.worker.name, 1) for _, runner in choices]
        ((name, runner),) = self.random.choices(choices, weights)
        await self._crashing(name, lambda: self._take(name, runner))

    async def _take(self, name: str, runner: WorkerRunner | JobRunner) -> None:
        if isinstance(runner, JobRunner):
            self._note("job", runner.worker.name, await runner.step())
            return
        claimed = await runner.claim()
        self._note("claim", runner.worker.name, claimed is not None)
        if claimed is not None:
            self.work.append(Work(name, runner, claimed))

    async def _progress(self) -> None:
        if not self.work:
            return
        work = self.random.choice(self.work)
        if not work.called:
            work.answer, work.called = await work.runner.call(work.claimed), True
            self._note("call", work.runner.worker.name, type(work.answer).__name__)
            return
        self.work.remove(work)
        self._note("outcome", work.runner.worker.name)
        await self._crashing(work.process, lambda: work.runner.outcome(work.claimed, work.answer))

    async def _call_back(self) -> None:
        """The platform speaks by itself of any serial it knows: early, late, twice, or of what has long ended."""
        serials = sorted(self.world.storage.tasks)
        if not serials:
            return
        serial = self.random.choice(serials)
        self._note("call back", serial)
        await self._crashing("invoicing", lambda: self.world.call_back(serial))

    async def _overlap(self) -> None:
        """A commit hangs; a later one passes it, and the relay runs in between."""
        process = self.stage.processes["invoicing"]
        assert isinstance(process.database, FaultyDatabase)
        first, second = self.random.sample(ACCOUNTS, 2)
        asks = self._some_ask(first), self._some_ask(second)
        process.database.hold_next()
        held, release = process.database.held, process.database.release
        assert held is not None
        assert release is not None
        slow = asyncio.create_task(self._request(asks[0]))
        await held.wait()
        await self._request(asks[1])
        await process.runtime.relay.step()
        release.set()
        await slow
        self._note("overlap", first, second)

    async def _grant(self) -> None:
        """The tax bureau raises or lowers what a seller may issue this month, also below what is issued."""
        seller = Catalogue.load().legal_entities[self.random.choice(SELLERS)]
        limit_fen = self.random.choice((0, 20_000, 200_000, AMPLE_FEN))
        month = cycle_of(self.stage.clock.now())
        used_fen = self.world.storage.quota(seller.tax_id, month).used_net_fen
        self.world.platform.set_quota(seller.tax_id, month, limit_fen, used_fen)
        self._note("grant", seller.tax_id, limit_fen)

    async def _time(self) -> None:
        seconds = self.random.choice((0.5, 3.0, 20.0, 70.0, 700.0))
        self.stage.clock.advance(seconds)
        self._note("time", seconds)

    async def _pause(self) -> None:
        """Nothing goes wrong for a while: most invoices are issued."""
        self.calm = True
        for _ in range(4):
            await self.stage.settle()
            self.stage.clock.advance(100)
        await self.stage.settle()
        self.calm = False

    # the end

    async def _rest(self) -> None:
        """Nothing goes wrong any more; workers that still live finish; time passes until nobody waits for anything."""
        self.calm = True
        for (tax_id, month), quota in list(self.world.storage.quotas.items()):
            self.world.platform.set_quota(tax_id, month, AMPLE_FEN, quota.used_net_fen)
        for work in self.work:
            answer = work.answer if work.called else await work.runner.call(work.claimed)
            await work.runner.outcome(work.claimed, answer)
        for process in self.stage.processes.values():
            await process.start()
        for seconds in REST_SECONDS:
            await self.stage.settle()
            self.stage.clock.advance(seconds)
        self.world.platform.settle()
        await self.stage.settle()
