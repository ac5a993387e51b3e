"""What two processes of one service do at the same time, and what the loops of a process do when nobody takes them step by step.

In a race the first one stands before a commit with all its locks; the second one goes as far as it comes: to its end, or to a lock of
the first. Then the first commits. Nothing else can happen between, so that a seed replays exactly.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from shared.contracts.message import Unacceptable
from shared.runtime.database import Database
from tests.simulation.faults import KINDS, Bug, Crash, FaultyDatabase, HoldsOne, Waits, Work
from tests.simulation.processes import Processes
from tests.simulation.scene import Scene
from tests.support.stage import Process

LOOK_SECONDS = 0.002
HELD_MAX = 3
ROUNDS = (1, 3, 8)
OF_BUGS = (Bug.__name__, Unacceptable.__name__, *(one.__name__ for one in KINDS.values()))
BLOCKED = """
    SELECT EXISTS (
        SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()
    )
"""


class Ended(BaseException):
    """A loop has gone round as often as it should."""


class Rounds(asyncio.Event):
    """Nobody waits long: it wakes whoever waits, or their time is up, in turn; and it ends its loop after so many times."""

    def __init__(self, count: int, end: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._end = count, end

    async def wait(self) -> bool:  # type: ignore[override]
        self._left -= 1
        if self._left <= 0:
            self._end()
        if self._left % 2:
            raise TimeoutError
        return True


def _ended() -> None:
    raise Ended


class Races:
    def __init__(self, scene: Scene, processes: Processes) -> None:
        self.scene, self.processes = scene, processes
        self.random, self.stage = scene.random, scene.stage
        self.asks: list[Callable[[Process], Work | None]] = []
        """What customers and the platform may ask of a process of invoicing."""

    async def race(self) -> None:
        members = self.processes.of(self.processes.any().service.name)
        first, second = self.random.sample(members, 2)
        number = self.random.randrange(HELD_MAX)
        same = self.random.random() < 0.6
        kind = self.random.choice(("records", "rows", "asks", "outcome"))
        works = [self._work(one, kind, place) for place, one in enumerate((first, second))]
        if not same:
            works[1] = self._work(second, self.random.choice(("records", "rows", "asks", "outcome")), 1)
        slow, quick = works
        if slow is None or quick is None:
            return
        self.scene.note("race", first.service.name, kind, number)
        await self._run(first, slow, second, quick, number)

    def _work(self, process: Process, kind: str, place: int) -> Work | None:
        if place == 0:
            self._draw = self.random.random()
        if kind == "records":
            mail = process.has_mail()
            if not mail:
                return None
            subscription, partition = mail[int(self._draw * len(mail))]
            return self.processes.delivery(process, subscription, partition)
        if kind == "rows":
            runners = process.runtime.runners
            return self.processes.step(process, runners[int(self._draw * len(runners))]) if runners else None
        if kind == "asks":
            return self.random.choice(self.asks)(process) if process.service.name == "invoicing" else None
        mine = [work for work in self.processes.work if work.process is process and work.called]
        return self.processes.outcome(self.random.choice(mine)) if mine else None

    async def _run(self, first: Process, slow: Work, second: Process, quick: Work, number: int) -> None:
        hold, waits = HoldsOne(number), Waits()
        for process, one in ((first, hold), (second, waits)):
            assert isinstance(process.database, FaultyDatabase)
            process.database.arm(None)
            process.database.hold(one)
        leading = asyncio.create_task(_task(slow))
        await _first_of(leading, hold.held)
        following = asyncio.create_task(_task(quick))
        if not leading.done() and await self._is_blocked(following, first.database):
            self.scene.note("waits for a lock")
            waits.may_go.clear()
        hold.released.set()
        await _first_of(leading, hold.at_rest)
        waits.may_go.set()
        await asyncio.wait([following])
        hold.over.set()
        await asyncio.wait([leading])
        for process, task in ((first, leading), (second, following)):
            assert isinstance(process.database, FaultyDatabase)
            process.database.hold(None)
            await self._ended_with(process, task)

    async def _is_blocked(self, following: "asyncio.Task[None]", database: Database) -> bool:
        """Whoever waits for a lock of the first waits until it commits."""
        while not (await asyncio.wait([following], timeout=LOOK_SECONDS))[0]:
            async with Database.read(database) as db:
                if await db.fetchval(BLOCKED):
                    return True
        return False

    async def meanwhile(self, slow: Work, hold: HoldsOne, between: Work) -> None:
        """Something happens while a transaction that `hold` holds has not committed, and needs nothing that it has locked."""
        leading = asyncio.create_task(_task(slow))
        await _first_of(leading, hold.held)
        await between()
        hold.released.set()
        hold.over.set()
        await leading

    async def _ended_with(self, process: Process, task: "asyncio.Task[None]") -> None:
        error = task.exception()
        if isinstance(error, Crash):
            await self.processes.restart(process)
        elif error is not None and not isinstance(error, Bug | Unacceptable):
            raise error

    async def loop(self) -> None:
        """The process's own loop of a worker, or of its relay, goes round some times."""
        process = self.processes.any()
        runners = process.runtime.runners
        count = self.random.choice(ROUNDS)
        number = self.random.randint(0, len(runners))
        self.scene.note("loop", process.service.name, process.replica, number, count)
        if number == len(runners):
            work = partial(process.runtime.relay.run, Rounds(count, _ended))
        else:
            runner = runners[number]
            work = partial(runner.run, Rounds(count, runner.stop))
        await self.processes.attempt(process, f"loop {number}", partial(_in_a_task, work))
        assert isinstance(process.database, FaultyDatabase)
        trouble = runners[number].progress.trouble if number < len(runners) else None
        if trouble and trouble not in OF_BUGS and not process.database.hurt:
            raise AssertionError(f"{runners[number].worker.name} fails with {trouble}")
        await self.processes.restart(process)

    async def end(self) -> None:
        """A graceful end: the relay sends what is left, and gives its lease up."""
        process = self.processes.any()
        self.scene.note("end", process.service.name, process.replica)
        await process.transport.stop_consuming()
        await self.processes.attempt(process, "end", process.runtime.relay.finish)
        await process.transport.stop()
        await self.processes.restart(process)


async def _task(work: Work) -> None:
    await work()


async def _in_a_task(work: Work) -> None:
    """A loop sets what its connections are for, in its own context."""
    with contextlib.suppress(Ended):
        await asyncio.create_task(_task(work))


async def _first_of(task: "asyncio.Task[None]", event: asyncio.Event) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
