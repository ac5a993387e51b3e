"""What a service says of itself (`Service`), and that service running against one database and one transport (`Runtime`).

The process (`main.py`), the simulation and the tests all build the same `Runtime`; they differ in transport and clock.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from asyncpg import Connection

from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.runtime import tracing
from shared.runtime.clock import Clock, NewId
from shared.runtime.database import TRANSIENT_ERRORS, Database, connect
from shared.runtime.handling import BatchHandler, Consumer, Handler
from shared.runtime.outbox import Outbox, Relay, wait
from shared.runtime.parking import Parking
from shared.runtime.queues import QueueReader, Queues
from shared.runtime.retention import Kept
from shared.runtime.settings import LOCAL_PARKING_KEY
from shared.runtime.transport import NotDone, Transport
from shared.runtime.workers import AnyWorker, runner_of

if TYPE_CHECKING:
    from fastapi import APIRouter

    from shared.runtime.admission import Admit

I = TypeVar("I")  # noqa: E741 - the intent
A = TypeVar("A")
log = structlog.get_logger()
REREAD_SECONDS = 0.25
LOOK_BACK_SECONDS = 5.0
STEP_ENDS_SECONDS, CANCELLED_ENDS_SECONDS = 4.0, 2.0
CONSUMERS_END_SECONDS, RELAY_ENDS_SECONDS = 9.0, 5.5
CLOSED_SECONDS, DATABASE_CLOSED_SECONDS = 2.0, 3.5
"""At a graceful end: how long workers have for the step they are at, how long anything has to notice that it is cancelled, and how long
consumers, the relay and connections have. All of it together fits into STOP_SECONDS, which is the deadline of the process."""

Intent = Callable[[I, Connection, datetime], Awaitable[tuple[A, Sequence[Message]]]]


@dataclass(frozen=True)
class Service:
    """The table of one service: which messages it takes and what it does on its own."""

    name: str
    migrations: Path
    handlers: Mapping[type[Message], Handler] = field(default_factory=dict)
    batches: Mapping[str, BatchHandler] = field(default_factory=dict)
    workers: Sequence[AnyWorker] = ()
    queues: Queues = field(default_factory=dict)
    """What an operator sees waiting."""
    kept: Sequence[Kept] = ()
    """Tables whose rows leave after a time; all others grow for ever, or do not grow."""
    routes: "Callable[[Runtime], APIRouter] | None" = None
    """Routes for the gateway; they need the service token."""
    public_routes: "Callable[[Runtime], APIRouter] | None" = None
    """Routes for customers, under /v1; `admission` says who may call them."""
    admission: "Callable[[Runtime], Admit] | None" = None
    operator_routes: "Callable[[Runtime], APIRouter] | None" = None
    """Routes under /ops for operators, beside those of every service."""
    callback_routes: "Callable[[Runtime], APIRouter] | None" = None
    """Routes for the outside, which signs what it says; they have a listener of their own."""
    resources: Sequence[AbstractAsyncContextManager[Any]] = ()
    """Opened before the first message, closed after the last: clients, process pools."""

    def topics(self) -> list[str]:
        return sorted({*self.batches, *(message.topic for message in self.handlers)})


class Runtime:
    """A running service. Somebody drives `consumers`, `relay` and `runners`: tasks in a process, a scheduler in a test."""

    def __init__(
        self,
        service: Service,
        database: Database,
        transport: Transport,
        clock: Clock,
        new_id: NewId,
        replica: str,
        types_for_others: Collection[str] = (),
        parking: Parking | None = None,
    ) -> None:
        """`parking`: seals what is parked; a process has it from its settings, else it is that of local runs."""
        self.service = service
        self.database = database
        self.transport = transport
        self.clock = clock
        self.replica = replica
        self.parking = parking or Parking.from_setting(LOCAL_PARKING_KEY)
        self._types_for_others = types_for_others
        self.outbox = Outbox(service.name, clock, new_id)
        self.relay = Relay(database, transport, clock, f"{service.name}-{replica}-{new_id()}")
        self.runners = [runner_of(worker, database, self.outbox, clock) for worker in service.workers]
        self.consumers = {consumer.name: consumer for consumer in map(self._consumer, service.topics())}
        for consumer in self.consumers.values():
            transport.consume(consumer.name, [consumer.topic], consumer.on_batch, consumer.on_assigned)
        self._tasks: list[asyncio.Task[None]] = []
        self._working: list[asyncio.Task[None]] = []
        self._answers = _Answers(database.dsn)

    def _consumer(self, topic: str) -> Consumer:
        batch_handler = self.service.batches.get(topic)
        handlers = {message: handler for message, handler in self.service.handlers.items() if message.topic == topic}
        types = TOPICS[topic].by_type(None if batch_handler else handlers.keys())
        name = f"{self.service.name}.{topic}"
        machine = self.database, self.outbox, self.clock, self.parking
        return Consumer(name, topic, types, handlers, batch_handler, *machine, self._types_for_others)

    # what services use

    @asynccontextmanager
    async def read(self, account_id: int | None = None) -> AsyncIterator[Connection]:
        """On behalf of an account only its rows can be seen."""
        async with self.database.read(account_id) as db:
            yield db

    async def intent(self, handler: Intent[I, A], ask: I) -> A:
        """Do what somebody asked for over HTTP: one transaction with its messages, stored before it is acknowledged.

        An ask that has an `account_id` can see and touch rows of that account only.
        """
        async with self.database.transaction(tracing.traceparent(), getattr(ask, "account_id", None)) as db:
            answer, messages = await handler(ask, db, self.clock.now())
            await self.outbox.write(db, messages, tracing.traceparent())
        self.outbox.committed()
        return answer

    async def wait_for(
        self, channel: str, key: str, read: Callable[[Connection], Awaitable[A | None]], timeout_seconds: float
    ) -> A | None:
        """What `read` finds as soon as it finds something. Any replica may produce it: it notifies `channel` with `key`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                async with self._answers.expect(channel, key) as woken:
                    while (answer := await self._look(read)) is None:
                        await wait(woken, REREAD_SECONDS)
                    return answer
        except TimeoutError:
            return await self._look(read)

    async def _look(self, read: Callable[[Connection], Awaitable[A | None]]) -> A | None:
        async with self.read() as db:
            return await read(db)

    # a process's life

    async def start(self) -> None:
        await self.transport.start()
        self.spawn(self.relay.run(self.outbox.waker()))
        self.spawn(QueueReader(self).run())
        self.spawn(self._look_back())
        for runner in self.runners:
            for _ in range(runner.worker.concurrency):
                self._working.append(asyncio.create_task(runner.run(self.outbox.waker())))

    def spawn(self, work: "Any") -> None:  # noqa: ANN401 - a coroutine of any kind
        """Runs until the service stops; the watchdog ends the process if it ends before."""
        self._tasks.append(asyncio.create_task(work))

    async def _look_back(self) -> None:
        """For ever: is what was committed still there?"""
        while True:
            await asyncio.sleep(LOOK_BACK_SECONDS)
            for consumer in self.consumers.values():
                with contextlib.suppress(NotDone, *TRANSIENT_ERRORS):
                    await consumer.look_back()

    def went_back(self) -> str | None:
        """The database has lost what this process committed; a new process begins at the place it has."""
        return next((one.places.went_back for one in self.consumers.values() if one.places.went_back), None)

    def failed_task(self) -> BaseException | None:
        """A task that ended: none of them should."""
        for task in (*self._tasks, *self._working):
            if task.done() and not task.cancelled():
                return task.exception() or RuntimeError("a task ended")
        return None

    async def stop(self) -> None:
        """Consumers first, so that nothing new comes in; workers end the step they are at, else it is rolled back or its lease runs
        out; then a last round of the relay. Whatever does not end in its time is left behind, and the process ends all the same."""
        self._stopping_workers()
        await asyncio.gather(
            _in_time(self.transport.stop_consuming(), CONSUMERS_END_SECONDS), _ended(self._working, STEP_ENDS_SECONDS)
        )
        for task in (*self._tasks, *self._working):
            task.cancel()
        await _ended([*self._tasks, *self._working], CANCELLED_ENDS_SECONDS)
        await _in_time(self.relay.finish(), RELAY_ENDS_SECONDS)
        await asyncio.gather(
            _in_time(self.transport.stop(), CLOSED_SECONDS),
            _in_time(self._answers.close(), CLOSED_SECONDS),
            _in_time(self.database.close(), DATABASE_CLOSED_SECONDS),
        )

    def _stopping_workers(self) -> None:
        for runner in self.runners:
            runner.stop()
        self.outbox.committed()


async def _in_time(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """What takes longer is cancelled, and not waited for: it may be at a server that does not listen."""
    task = asyncio.create_task(work)
    if not (await asyncio.wait([task], timeout=seconds))[0]:
        log.warning("left_behind", what=task.get_coro().__qualname__)  # type: ignore[union-attr]
        task.cancel()
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("ended_badly", what=task.get_coro().__qualname__, error=type(error).__name__)  # type: ignore[union-attr]


async def _ended(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """What they failed with was told by the watchdog, as long as there was one."""
    done = (await asyncio.wait(tasks, timeout=seconds))[0] if tasks else ()
    for task in done:
        if not task.cancelled():
            task.exception()


class _Answers:
    """One listening connection of the process. A lost notification costs a re-read interval, never an answer."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._db: Connection | None = None
        self._waiting: dict[tuple[str, str], asyncio.Event] = {}
        self._listening: set[str] = set()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def expect(self, channel: str, key: str) -> AsyncIterator[asyncio.Event]:
        await self._listen(channel)
        event = self._waiting.setdefault((channel, key), asyncio.Event())
        try:
            yield event
        finally:
            self._waiting.pop((channel, key), None)

    async def _listen(self, channel: str) -> None:
        async with self._lock:
            if self._db is None or self._db.is_closed():
                self._db = await connect(self._dsn)
                self._listening.clear()
            if channel not in self._listening:
                await self._db.add_listener(channel, self._heard)
                self._listening.add(channel)

    def _heard(self, _db: object, _pid: int, channel: str, payload: object) -> None:
        if (event := self._waiting.get((channel, str(payload)))) is not None:
            event.set()

    async def close(self) -> None:
        if self._db is not None:
            await self._db.close()
