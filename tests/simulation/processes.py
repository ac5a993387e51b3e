"""What processes do: deliver, relay, claim, call and record the outcome; and how they die and start again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.runtime.workers import JobRunner, WorkerRunner
from tests.simulation.faults import Crash, CrashingRelay, FaultyDatabase
from tests.simulation.scene import Scene
from tests.support.stage import Process

EAGER = {"issue": 14, "credit": 8, "files": 3, "hold": 3, "allocate": 6, "answer": 3, "book": 6}
"""Workers that are looked at more often: most of what can go wrong goes wrong there."""


@dataclass
class Work:
    """A worker with a claimed row in hand; it may be slow, or dead."""

    process: str
    runner: WorkerRunner
    claimed: Any
    answer: Any = None
    called: bool = False


class Processes:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.random, self.stage = scene.random, scene.stage
        self.work: list[Work] = []
        self.owners: list[Process] = []
        """Processes that believe to own partitions, two of each service."""

    async def second_owners(self) -> None:
        """Another process of each service, on the same database, that believes to own the same partitions."""
        for name in sorted(self.stage.processes):
            one = self.stage.processes[name]
            other = Process(one.service, one.database, one.log, one.clock, one.new_id, "2")
            await other.start()
            self.owners += [one, other]

    async def crashing(self, name: str, work: Callable[[], Awaitable[object]], dying: Process | None = None) -> None:
        """The process may die in the middle of it; then it starts anew."""
        process = dying or self.stage.processes[name]
        assert isinstance(process.database, FaultyDatabase)
        if self.scene.goes_wrong():
            process.database.arm(self.random.choice(("before", "after")), self.random.randint(0, 2))
        try:
            await work()
        except Crash:
            self.scene.note("crash", name)
            await self._restart(process)
        process.database.plan = None

    async def _restart(self, process: Process) -> None:
        await process.start()
        self.work = [work for work in self.work if work.process != process.service.name or self.random.random() < 0.3]

    async def kill(self) -> None:
        process = self._process()
        self.scene.result.faults += 1
        self.scene.note("kill", process.service.name)
        await self._restart(process)

    async def deliver(self) -> None:
        waiting = [(process, *place) for process in self.owners for place in process.has_mail()]
        if not waiting:
            return
        process, subscription, partition = self.random.choice(waiting)
        count = self.random.choice((1, 2, 5, 50))
        self.scene.note("deliver", subscription.group, partition, subscription.position[partition], count)
        work = lambda: process.transport.deliver(subscription, partition, count)  # noqa: E731
        await self.crashing(process.service.name, work, process)

    async def rewind(self) -> None:
        """A rebalance gave the partition to somebody who starts further back; or two owners at once."""
        process = self._process()
        places = [(sub, part) for sub, part in process.partitions() if sub.position[part] > 0]
        if not places:
            return
        subscription, partition = self.random.choice(places)
        subscription.position[partition] = self.random.randint(0, subscription.position[partition] - 1)
        self.scene.result.faults += 1
        self.scene.note("rewind", subscription.group, partition, subscription.position[partition])

    async def relay(self) -> None:
        process = self._process()
        relay = CrashingRelay(process.runtime.relay, self.scene.goes_wrong)
        try:
            await relay.step()
        except Crash:
            await self._restart(process)
        self.scene.note("relay", process.service.name)

    def _process(self) -> Process:
        return self.stage.processes[self.random.choice(sorted(self.stage.processes))]

    async def claim(self) -> None:
        choices = [
            (name, runner)
            for name in sorted(self.stage.processes)
            for runner in self.stage.processes[name].runtime.runners
        ]
        weights = [EAGER.get(runner.worker.name, 1) for _, runner in choices]
        ((name, runner),) = self.random.choices(choices, weights)
        await self.crashing(name, lambda: self._step(name, runner))

    async def _step(self, name: str, runner: WorkerRunner | JobRunner) -> None:
        """A job is done at once; what a worker claimed stays in its hand."""
        if isinstance(runner, JobRunner):
            self.scene.note("job", runner.worker.name, await runner.step())
            return
        claimed = await runner.claim()
        self.scene.note("claim", runner.worker.name, claimed is not None)
        if claimed is not None:
            self.work.append(Work(name, runner, claimed))

    async def progress(self) -> None:
        if not self.work:
            return
        work = self.random.choice(self.work)
        if not work.called:
            work.answer, work.called = await work.runner.call(work.claimed), True
            self.scene.note("call", work.runner.worker.name, type(work.answer).__name__)
            return
        self.work.remove(work)
        self.scene.note("outcome", work.runner.worker.name)
        await self.crashing(work.process, lambda: work.runner.outcome(work.claimed, work.answer))

    async def pass_time(self) -> None:
        seconds = self.random.choice((0.5, 3.0, 20.0, 70.0, 700.0))
        self.stage.clock.advance(seconds)
        self.scene.note("time", seconds)

    async def finish(self) -> None:
        """Workers that still live finish, and every process starts anew."""
        for work in self.work:
            answer = work.answer if work.called else await work.runner.call(work.claimed)
            await work.runner.outcome(work.claimed, answer)
        for process in self.stage.processes.values():
            await process.start()
