"""What processes do: deliver, relay, claim, call and record the outcome; and how they die and start again. Each service has two."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from shared.contracts.message import Unacceptable
from shared.runtime.memory import Subscription
from shared.runtime.transport import Assigned, LogDiffers, Partition, SendFailed
from shared.runtime.workers import JobRunner, WorkerRunner
from tests.simulation.faults import ALL, FAULTS, Bug, Crash, FaultyDatabase, Plan, ProcessClock, Work
from tests.simulation.scene import Scene
from tests.simulation.wire import SEND_FAULTS, FaultyWire
from tests.support.stage import Process

EAGER = {"issue": 14, "credit": 8, "files": 3, "hold": 3, "allocate": 6, "answer": 3, "book": 6}
"""Workers that are looked at more often: most of what can go wrong goes wrong there."""
FOR_OTHERS = ("CouponGranted",)
WRONG_SECONDS = 120
IN_A_ROW = (1, 1, 2, 5, 30)
"""How many transactions meet an error that passes, one after the other. Thirty are longer than anybody waits."""
ALL_AT_ONCE = 0.1
"""How often a worker does its three steps without anybody between them."""


@dataclass
class Held:
    """A claimed row in the hand of a process; it may be slow, or dead."""

    process: Process
    runner: WorkerRunner
    claimed: Any
    answer: Any = None
    called: bool = False


class Processes:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.random, self.stage = scene.random, scene.stage
        self.work: list[Held] = []
        self.all: list[Process] = []
        """Two of each service. Both may believe to own the same partitions."""
        self._made: dict[str, list[int]] = defaultdict(list)
        """How many transactions an action made, by its kind."""

    async def open(self) -> None:
        for name, opened in sorted(self.stage.processes.items()):
            assert isinstance(opened.database, FaultyDatabase)
            for replica in ("1", "2"):
                database = opened.database.beside()
                database.happened = self.scene.happened
                parts = (opened.service, database, opened.log, self._clock(), opened.new_id, replica)
                process = Process(*parts, self._wire, FOR_OTHERS)
                await process.start()
                self.all.append(process)
            self.stage.processes[name] = self.all[-2]

    def _clock(self) -> ProcessClock:
        wrong = timedelta(seconds=self.random.randint(-WRONG_SECONDS, WRONG_SECONDS))
        return ProcessClock(self.stage.clock, wrong, self.random.uniform(0, 1e6))

    def _wire(self, log: Any) -> FaultyWire:  # noqa: ANN401
        def fault() -> str:
            return self.random.choice(SEND_FAULTS) if self.scene.goes_wrong() else ""

        return FaultyWire(log, self.random, fault, self.scene.happened)

    def any(self) -> Process:
        return self.random.choice(self.all)

    def of(self, service: str) -> list[Process]:
        return [process for process in self.all if process.service.name == service]

    # faults

    async def attempt(self, process: Process, kind: str, work: Work) -> None:
        """The process may meet a fault in the middle of it. If it dies of that, it starts anew."""
        database = process.database
        assert isinstance(database, FaultyDatabase)
        database.arm(self._plan(kind))
        died = False
        try:
            await work()
        except Crash:
            died = True
        except SendFailed as error:
            self.scene.note("not sent", error.confirmed)
        except Exception as error:
            if not database.hurt and not isinstance(error, Bug | Unacceptable):
                raise
            self.scene.note("failed", type(error).__name__)
        finally:
            self._made[kind].append(database.disarm())
        if died:
            await self.restart(process)

    def _plan(self, kind: str) -> Plan | None:
        """The transaction that is met is drawn from as many as an action of its kind made before."""
        if not self.scene.goes_wrong():
            return None
        fault = self.random.choice(FAULTS)
        number = self.random.randrange(max(self.random.choice(self._made[kind] or [1]), 1))
        error = self.random.choice(ALL[fault])
        return Plan(fault, number, error, 1 if error is Crash else self.random.choice(IN_A_ROW))

    async def restart(self, process: Process) -> None:
        """On another host, so with another clock."""
        self.scene.note("starts", process.service.name, process.replica)
        process.clock = self._clock()
        assert isinstance(process.database, FaultyDatabase)
        process.database.arm(None)
        await process.start()
        self.work = [work for work in self.work if work.process is not process]

    async def kill(self) -> None:
        process = self.any()
        self.scene.happened("killed")
        await self.restart(process)

    # records

    async def deliver(self) -> None:
        waiting = [(process, *place) for process in self.all for place in process.has_mail()]
        places = waiting or [(process, *place) for process in self.all for place in process.partitions()]
        if places:
            process, subscription, partition = self.random.choice(places)
            await self.attempt(process, subscription.group, self.delivery(process, subscription, partition))

    def delivery(self, process: Process, subscription: Subscription, partition: Partition) -> Work:
        count = self.random.choice((1, 2, 5, 50))
        at = subscription.position[partition]
        self.scene.note("deliver", process.replica, subscription.group, partition, at, count)
        return partial(process.transport.deliver, subscription, partition, count)

    async def rewind(self) -> None:
        """A fetch begins further back: what was read comes again."""
        process = self.any()
        places = [(sub, part) for sub, part in process.partitions() if sub.position[part] > 0]
        if not places:
            return
        subscription, partition = self.random.choice(places)
        subscription.position[partition] = self.random.randint(0, subscription.position[partition] - 1)
        self.scene.happened("rewound")
        self.scene.note(subscription.group, partition, subscription.position[partition])

    async def rebalance(self) -> None:
        """Each partition of a topic goes to one of two members; or to both, when one does not know yet that it is out."""
        members = self.of(self.any().service.name)
        number = self.random.randrange(len(members[0].transport.subscriptions) or 1)
        parts: list[list[Partition]] = [[], []]
        for topic in (topic for sub in members[0].transport.subscriptions[number : number + 1] for topic in sub.topics):
            for part in self.stage.log.of_topic(topic):
                owner = self.random.choice((0, 1, 2))
                for place in (0, 1) if owner == 2 else (owner,):
                    parts[place].append(part)
        for member, mine in zip(members, parts, strict=True):
            for subscription in member.transport.subscriptions[number : number + 1]:
                await self._assign(member, subscription, mine)

    async def _assign(self, process: Process, subscription: Subscription, parts: list[Partition]) -> None:
        """What fails in passing is waited out, and then asked again."""
        self.scene.note("assigned", subscription.group, process.replica, parts)
        work = partial(process.transport.assign, subscription, parts)
        await self.attempt(process, "assign", work)
        if parts and not subscription.position:
            await work()

    async def lose_offset(self) -> None:
        """The broker's offset of a group is another than it was: lower after a failover, higher by mistake, or gone."""
        committed = self.stage.log.committed
        places = sorted(committed, key=lambda one: (one[0], one[1].topic, one[1].number))
        if not places:
            return
        group, part = self.random.choice(places)
        end, now = len(self.stage.log.records[part]), committed[group, part]
        offset = self.random.choice((None, self.random.randint(0, now), self.random.randint(now, end), end))
        if offset == now:
            return
        if offset is None:
            del committed[group, part]
        else:
            committed[group, part] = offset
        self.scene.happened("offset lost")
        self.scene.note(group, part, offset)
        for member in self.of(group.partition(".")[0]):
            for subscription in member.transport.subscriptions:
                if subscription.group == group:
                    await self._assign(member, subscription, self.stage.log.of_topic(part.topic))

    async def made_anew(self) -> None:
        """A log that ends before the place where a consumer stands: nothing may be read of it."""
        process = self.any()
        places = [(sub, part) for sub, part in process.partitions() if sub.position[part] > 0]
        if not places:
            return
        subscription, part = self.random.choice(places)
        with suppress(LogDiffers):
            await subscription.on_assigned([Assigned(part, None, 0)])
            return
        self.scene.happened("log made anew")

    # messages

    async def relay(self) -> None:
        process = self.any()
        self.scene.note("relay", process.service.name, process.replica)
        await self.attempt(process, "relay", process.runtime.relay.step)

    async def slow_relay(self) -> None:
        """The broker takes its time. Meanwhile the lease may run out, and the other relay takes over."""
        first, second = self.random.sample(self.of(self.any().service.name), 2)
        wire = first.transport
        assert isinstance(wire, FaultyWire)
        seconds = self.random.choice((1.0, 6.0, 11.0))

        async def meanwhile() -> None:
            self.stage.clock.advance(seconds)
            await self.attempt(second, "relay", second.runtime.relay.step)

        wire.meanwhile = meanwhile
        self.scene.note("slow relay", first.service.name, seconds)
        await self.attempt(first, "relay", first.runtime.relay.step)
        wire.meanwhile = None

    # work

    async def claim(self) -> None:
        choices = [(process, runner) for process in self.all for runner in process.runtime.runners]
        weights = [EAGER.get(runner.worker.name, 1) for _, runner in choices]
        ((process, runner),) = self.random.choices(choices, weights)
        await self.attempt(process, runner.worker.name, self.step(process, runner))

    def step(self, process: Process, runner: WorkerRunner | JobRunner) -> Work:
        """A job is done at once; what a worker claimed stays in its hand, mostly."""
        if isinstance(runner, JobRunner) or self.random.random() < ALL_AT_ONCE:
            return partial(self._whole, runner)
        return partial(self._claim, process, runner)

    async def _whole(self, runner: WorkerRunner | JobRunner) -> None:
        self.scene.note("step", runner.worker.name, await runner.step())

    async def _claim(self, process: Process, runner: WorkerRunner) -> None:
        claimed = await runner.claim()
        self.scene.note("claim", runner.worker.name, claimed is not None)
        if claimed is not None:
            self.work.append(Held(process, runner, claimed))

    async def progress(self) -> None:
        if not self.work:
            return
        work = self.random.choice(self.work)
        if not work.called:
            work.answer, work.called = await work.runner.call(work.claimed), True
            self.scene.note("call", work.runner.worker.name, type(work.answer).__name__)
            return
        await self.attempt(work.process, f"{work.runner.worker.name} outcome", self.outcome(work))

    def outcome(self, work: Held) -> Work:
        self.work.remove(work)
        self.scene.note("outcome", work.runner.worker.name)
        return partial(work.runner.outcome_despite_transient_errors, work.claimed, work.answer)

    async def pass_time(self) -> None:
        seconds = self.random.choice((0.5, 3.0, 20.0, 70.0, 700.0))
        self.stage.clock.advance(seconds)
        self.scene.note("time", seconds)

    async def finish(self) -> None:
        """Workers that still live finish, and every process starts anew."""
        for work in self.work:
            answer = work.answer if work.called else await work.runner.call(work.claimed)
            await work.runner.outcome(work.claimed, answer)
        for process in self.all:
            await self.restart(process)
