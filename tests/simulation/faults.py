"""What goes wrong at the database, in handlers and with clocks: a process dies before or after a commit, a commit hangs, its answer
is lost, a connection fails, the system itself is at fault, a handler has a bug, and no two hosts agree what time it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import asyncpg
from asyncpg import Connection
from asyncpg.pool import Pool

from services.ledger.journal import limits
from shared.contracts.message import Message, Park, Unacceptable
from shared.contracts.parking import RecordParked
from shared.runtime import handling, outbox
from shared.runtime.clock import EPOCH, Clock, VirtualClock
from shared.runtime.database import Database
from shared.runtime.purposes import Purpose
from shared.runtime.roles import Roles
from shared.runtime.service import Service
from shared.runtime.workers import AnyWorker, Job


class Crash(BaseException):
    """Stands for SIGKILL: nothing above catches it."""


class Bug(Exception):  # noqa: N818
    """A handler fails for a reason that nobody foresaw."""


class LockedOut(asyncpg.LockNotAvailableError, Bug):
    """A handler waits for a lock that somebody does not give back."""


class LacksColumn(asyncpg.UndefinedColumnError, Bug):
    """A handler asks for what its database does not have yet."""


TRANSIENT: tuple[type[Exception], ...] = (
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    ConnectionResetError,
    TimeoutError,
)
BEFORE: Mapping[str, tuple[type[BaseException], ...]] = {
    "dies before commit": (Crash,),
    "transient error": TRANSIENT,
    "too slow": (asyncpg.QueryCanceledError,),
    "system fault": (asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError),
    "unforeseen": (ValueError, asyncpg.DataError),
}
AFTER: Mapping[str, tuple[type[BaseException], ...]] = {
    "dies after commit": (Crash,),
    "answer lost": (asyncpg.ConnectionDoesNotExistError,),
}
ALL = {**BEFORE, **AFTER}
FAULTS = (*ALL,)
ALSO_IN_READS = ("transient error", "system fault")


@dataclass
class Plan:
    """The transaction with this number, counting from now and from 0, and `times` of them in a row, meet the fault."""

    fault: str
    number: int
    error: type[BaseException] = Crash
    times: int = 1


class FaultyDatabase(Database):
    """A process's view of its service's database. Obeys a plan, and tells of a fault when it happens."""

    def __init__(self, pools: "Mapping[Purpose, Pool[asyncpg.Record]]", dsn: str, roles: Roles) -> None:
        super().__init__(pools, dsn, roles)
        self.happened: Callable[[str], None] = print
        self.made = 0
        """Transactions since the plan was made."""
        self.hurt = False
        """Whether a fault has happened since then."""
        self._plan: Plan | None = None
        self._hold: Hold | None = None

    def beside(self) -> "FaultyDatabase":
        """Another process's view of the same database."""
        return FaultyDatabase(self._pools, self.dsn, self._roles)

    def arm(self, plan: Plan | None) -> None:
        self._plan, self.made, self.hurt = plan, 0, False

    def disarm(self) -> int:
        self._plan = None
        return self.made

    def hold(self, hold: "Hold | None") -> None:
        self._hold = hold

    def met(self, fault: str) -> None:
        self.hurt = True
        self.happened(fault)

    def _due(self, count: int) -> Plan | None:
        plan = self._plan
        number, self.made = self.made, self.made + count
        return plan if plan is not None and plan.number <= number < plan.number + plan.times else None

    @asynccontextmanager
    async def transaction(
        self, traceparent: str | None = None, account_id: int | None = None
    ) -> AsyncIterator[Connection]:
        plan, hold = self._due(1), self._hold
        if hold is not None:
            await hold.before()
        async with super().transaction(traceparent, account_id) as db:
            yield db
            if plan is not None and plan.fault in BEFORE:
                self.met(plan.fault)
                raise plan.error("simulated")
            if hold is not None:
                await hold.at_commit()
        if plan is not None and plan.fault in AFTER:
            self.met(plan.fault)
            raise plan.error("simulated")

    @asynccontextmanager
    async def read(self, account_id: int | None = None) -> AsyncIterator[Connection]:
        plan = self._due(0)
        if plan is not None and plan.fault in ALSO_IN_READS:
            self.met(plan.fault)
            raise plan.error("simulated")
        async with super().read(account_id) as db:
            yield db


class Hold:
    """What two processes of a race do at their transactions."""

    async def before(self) -> None:
        """Before a transaction begins."""

    async def at_commit(self) -> None:
        """With all of its statements done."""


class HoldsOne(Hold):
    """The transaction with this number waits before its commit until it is released, and those after it until the race is over."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.held, self.released, self.at_rest, self.over = (asyncio.Event() for _ in range(4))

    async def before(self) -> None:
        if self._left < 0:
            self.at_rest.set()
            await self.over.wait()

    async def at_commit(self) -> None:
        self._left -= 1
        if self._left == -1:
            self.held.set()
            await self.released.wait()


class Waits(Hold):
    """Does not commit while somebody is about to."""

    def __init__(self) -> None:
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def at_commit(self) -> None:
        await self.may_go.wait()


class ProcessClock(Clock):
    """Of one process on one host: its wall clock is wrong by some seconds, its monotonic one began at some time. The database has the
    clock that all share. Whoever pauses lets time pass for everybody.
    """

    def __init__(self, shared: VirtualClock, wrong: timedelta, began: float) -> None:
        super().__init__()
        self._shared, self._wrong, self._began = shared, wrong, began

    def real(self) -> datetime:
        return self._shared.real() + self._wrong

    def monotonic(self) -> float:
        return self._began + (self._shared.real() - EPOCH).total_seconds()

    async def lease_time(self, db: Connection) -> datetime:
        return await self._shared.lease_time(db)

    def jitter(self) -> float:
        return self._shared.jitter()

    async def pause(self, seconds: float) -> None:
        await self._shared.pause(seconds)


@dataclass
class Bugs:
    """Handlers and workers that fail as long as their bug is not mended."""

    happened: Callable[[str], None]
    live: dict[tuple[str, str], str] = field(default_factory=dict)
    """By service, and type of message or name of a worker: how it fails."""

    def around(self, service: Service) -> Service:
        return replace(
            service,
            handlers={kind: partial(self._one, service.name, handler) for kind, handler in service.handlers.items()},
            batches={topic: partial(self._many, service.name, handler) for topic, handler in service.batches.items()},
            workers=[self._working(service.name, worker) for worker in service.workers],
        )

    def _working(self, service: str, worker: AnyWorker) -> AnyWorker:
        """A job fails at its work, a worker at its outcome."""
        real = worker.work if isinstance(worker, Job) else worker.outcome

        async def done(*arguments: Any) -> Any:  # noqa: ANN401
            said = await real(*arguments)
            self._raise(self.live.get((service, worker.name)))
            return said

        return replace(worker, work=done) if isinstance(worker, Job) else replace(worker, outcome=done)

    async def _one(self, service: str, handler: Any, message: Message, db: Connection, now: datetime) -> Any:  # noqa: ANN401
        return [*await handler(message, db, now), *self._meet(service, [message])]

    async def _many(self, service: str, handler: Any, messages: list[Message], db: Connection, now: datetime) -> Any:  # noqa: ANN401
        said = await handler(messages, db, now)
        refused = {id(one.message) for one in said if isinstance(one, Park)}
        return [*said, *self._meet(service, [message for message in messages if id(message) not in refused])]

    def _meet(self, service: str, messages: list[Message]) -> list[Message]:
        """Fails as the bug does, if there is one; or adds what no broker would take."""
        for message in messages:
            how = self.live.get((service, type(message).__name__))
            if how == "says too much":
                self.happened("bug")
                return [_too_much(message)]
            self._raise(how)
        return []

    def _raise(self, how: str | None) -> None:
        if how is None:
            return
        self.happened("bug")
        if how == "dies":
            raise Crash
        if how.startswith("refuses"):
            raise Unacceptable("SIMULATED", f"nobody accepts it{chr(0) if how == 'refuses oddly' else ''}")
        raise KINDS.get(how, Bug)("simulated")


KINDS = {"is locked out": LockedOut, "lacks a column": LacksColumn}


def _too_much(message: Message) -> Message:
    said = {"consumer": "x", "record_topic": "x", "record_partition": 0, "record_offset": 0, "reason": "X"}
    return RecordParked(account_id=message.account_id, text="x" * (outbox.VALUE_MAX_BYTES + 1), **said)


SMALL = {"ITEMS_MAX": 3, "STEP_ITEMS": 2, "CHUNK_FIRST": 2, "CHUNK_MAX": 2}
PARKS_IN_A_ROW, ROUND_MESSAGES, CAREFUL_SECONDS = 3, 3, 20.0


@contextmanager
def small_limits() -> Iterator[None]:
    """What takes thousands of items, or minutes, in earnest takes a few here."""
    with ExitStack() as stack:
        for name, value in SMALL.items():
            stack.enter_context(patch.object(limits, name, value))
        stack.enter_context(patch.object(handling, "PARKS_IN_A_ROW_MAX", PARKS_IN_A_ROW))
        stack.enter_context(patch.object(handling, "CAREFUL_SECONDS", CAREFUL_SECONDS))
        stack.enter_context(patch.object(outbox, "ROUND_MESSAGES_MAX", ROUND_MESSAGES))
        yield


Work = Callable[[], Awaitable[object]]
