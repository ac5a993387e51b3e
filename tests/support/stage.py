"""All services in one process: real handlers, real SQL on a real PostgreSQL, a log in memory for Kafka, a clock that stands.

Whoever holds the stage decides what happens next: `settle` lets everything come to rest, the simulation takes single steps.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from shared.contracts.message import Message
from shared.runtime.clock import Clock, VirtualClock, uuid7_of
from shared.runtime.database import Database
from shared.runtime.envelope import write
from shared.runtime.memory import MemoryLog, MemoryTransport, Subscription
from shared.runtime.service import Runtime, Service
from shared.runtime.transport import Partition, Record
from tests.support.databases import Databases

PARTITIONS = 2
BATCH_MAX = 200
ROUNDS_MAX = 2000
STEP = timedelta(seconds=30)


@dataclass
class Process:
    """A service as one process would run it. `start` again forgets everything that is not in the database or the log."""

    service: Service
    database: Database
    log: MemoryLog
    clock: Clock
    new_id: Callable[[], UUID]
    replica: str = "1"
    wire: Callable[[MemoryLog], MemoryTransport] = MemoryTransport
    types_for_others: Collection[str] = ()
    runtime: Runtime = field(init=False)
    transport: MemoryTransport = field(init=False)
    woken: asyncio.Event = field(init=False)

    async def start(self) -> None:
        self.transport = self.wire(self.log)
        parts = (self.service, self.database, self.transport, self.clock, self.new_id, self.replica)
        self.runtime = Runtime(*parts, self.types_for_others)
        self.woken = self.runtime.outbox.waker()
        await self.transport.start()

    def partitions(self) -> Iterator[tuple[Subscription, Partition]]:
        for subscription in self.transport.subscriptions:
            for partition in sorted(subscription.position, key=lambda one: (one.topic, one.number)):
                yield subscription, partition

    def has_mail(self) -> list[tuple[Subscription, Partition]]:
        return [(sub, part) for sub, part in self.partitions() if sub.position[part] < len(self.log.records[part])]


class Stage:
    """The services, their databases, the log and the clock."""

    def __init__(self, at: datetime, seed: int = 0) -> None:
        self.clock = VirtualClock(at)
        self.log = MemoryLog(PARTITIONS)
        self.processes: dict[str, Process] = {}
        self.moves = 0
        """What was delivered, sent or done while things came to rest."""
        self._count = 0
        self._seed = seed
        self._exits = AsyncExitStack()

    def new_id(self) -> UUID:
        self._count += 1
        return uuid7_of(int(self.clock.real().timestamp() * 1000), self._seed << 40 | self._count)

    async def add(
        self, service: Service, databases: Databases, kind: type[Database] = Database, replica: str = "1"
    ) -> Process:
        database = await databases.open(service.migrations, kind=kind)
        self._exits.push_async_callback(databases.drop, database.dsn)
        self._exits.push_async_callback(database.close)
        for resource in service.resources:
            await self._exits.enter_async_context(resource)
        process = Process(service, database, self.log, self.clock, self.new_id, replica)
        await process.start()
        self.processes[service.name] = process
        return process

    async def close(self) -> None:
        await self._exits.aclose()

    def publish(self, message: Message, event_id: str | None = None, source: str = "/upstream/billing") -> Record:
        """As an upstream system would."""
        outgoing = write(message, self.new_id(), source, self.clock.now(), None)
        headers = tuple(
            (name, event_id.encode() if event_id and name == "ce_id" else value) for name, value in outgoing.headers
        )
        return self.log.append(type(outgoing)(outgoing.topic, outgoing.key, outgoing.value, headers))

    async def settle(self, without: Sequence[str] = ()) -> None:
        """Deliver, relay and work until nothing is left that is due now. Workers named in `without` do nothing."""
        for process in self.processes.values():
            process.woken.set()
        for _ in range(ROUNDS_MAX):
            if not await self._round(without):
                return
        raise AssertionError("the stage does not come to rest")

    async def _round(self, without: Sequence[str]) -> bool:
        """As in a process, a commit wakes its workers and its relay; who found nothing looks again only then."""
        moved = 0
        for process in self.processes.values():
            for subscription, partition in process.has_mail():
                moved += await process.transport.deliver(subscription, partition, BATCH_MAX) > 0
            if not process.woken.is_set():
                continue
            process.woken.clear()
            for runner in process.runtime.runners:
                if runner.worker.name not in without:
                    moved += await runner.step()
            before = sum(map(len, self.log.records.values()))
            if await process.runtime.relay.step():
                process.woken.set()
            moved += sum(map(len, self.log.records.values())) > before
        self.moves += moved
        return moved > 0 or any(process.woken.is_set() for process in self.processes.values())

    async def let_pass(self, span: timedelta, without: Sequence[str] = ()) -> None:
        """Move time on in steps, settling after each."""
        end = self.clock.real() + span
        while self.clock.real() < end:
            self.clock.set(min(self.clock.real() + STEP, end))
            await self.settle(without)
