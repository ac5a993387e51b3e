"""Work that waits in rows. A `Worker` calls the outside world: claim with a lease in one transaction, call with none open, record the
outcome in another. A crash between the two leaves an expired lease, and the next claim finds out what happened before it asks again.
A `Job` needs nobody outside: one transaction does it all. (A worker whose call does nothing may not keep its row locked while it works.)
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from asyncpg import Connection, QueryCanceledError

from shared.contracts.message import Message
from shared.runtime import tracing
from shared.runtime.calls import Calls
from shared.runtime.clock import Clock
from shared.runtime.database import TRANSIENT_ERRORS, Database, caused_by
from shared.runtime.facts import ids_in
from shared.runtime.metrics import SET_ASIDE, WORK_SECONDS
from shared.runtime.outbox import Outbox, wait
from shared.runtime.progress import STANDSTILL_SECONDS, Progress
from shared.runtime.purposes import PURPOSE

OUTCOME_AGAIN_SECONDS = (0.1, 1.0)
"""Pauses before an outcome is tried again after a transient error; then the lease runs out, and the outside is asked again."""
LOOK_PAUSE_SECONDS = 0.1
"""Whoever found nothing is woken again after this at the earliest: each commit wakes all workers of the process."""

SET_ASIDE_SECONDS = 60.0
"""How long a row rests whose job failed."""
HUNG_SECONDS = 300.0
"""Longer than any step may take: its call ends within its lease, its statements within their timeouts."""

C = TypeVar("C")
A = TypeVar("A")

log = structlog.get_logger()


@dataclass(frozen=True)
class Worker(Generic[C, A]):
    """`claim` is given the database's time, which leases and back-off use, and business time; `outcome` is given business time.

    A claimed value may have a `traceparent`: the work then continues the trace of its cause.
    """

    name: str
    claim: Callable[[Connection, datetime, datetime], Awaitable[C | None]]
    call: Callable[[C], Awaitable[A]]
    outcome: Callable[[C, A, Connection, datetime], Awaitable[Sequence[Message]]]
    concurrency: int = 2
    idle_seconds: float = 0.25


@dataclass(frozen=True)
class Job(Generic[C]):
    """`claim` locks the row and passes over those that others have. `set_aside` lets one rest, by the database's time, when its work fails
    for another reason than a transient error, so that a bug that one row meets does not hold up all the others.
    """

    name: str
    claim: Callable[[Connection, datetime, datetime], Awaitable[C | None]]
    work: Callable[[C, Connection, datetime], Awaitable[Sequence[Message]]]
    set_aside: Callable[[C, Connection, datetime], Awaitable[None]] | None = None
    concurrency: int = 1
    idle_seconds: float = 0.25


AnyWorker = Worker[Any, Any] | Job[Any]
W = TypeVar("W", bound=AnyWorker)


class Runner(ABC, Generic[W]):
    """Runs one worker or job against one database."""

    def __init__(self, worker: W, database: Database, outbox: Outbox, clock: Clock) -> None:
        self.worker = worker
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._stopping = False
        self._calls = Calls(worker.name)
        self.progress = Progress(clock.monotonic)

    def unhealthy(self, possible_since: float = 0.0) -> str | None:
        """Its rows fail one after the other, or the steps it is at do not end."""
        still = self.progress.still_seconds(possible_since)
        if still <= (STANDSTILL_SECONDS if self.progress.trouble else HUNG_SECONDS):
            return None
        why = self.progress.trouble or "a step does not end"
        return f"worker {self.worker.name} has settled nothing for {still:.0f} s: {why}"

    def broken(self, possible_since: float = 0.0) -> str | None:
        """Only what a new process may mend: what fails here would fail there as well."""
        return None if self.progress.trouble else self.unhealthy(possible_since)

    @abstractmethod
    async def step(self) -> bool:
        """One due row, if there is one."""

    def stop(self) -> None:
        """After the step it is at, `run` ends."""
        self._stopping = True

    async def run(self, woken: asyncio.Event) -> None:
        PURPOSE.set("workers")
        while not self._stopping:
            try:
                idle = 0.0 if await self.step() else self.worker.idle_seconds
                self.progress.settled()
            except TRANSIENT_ERRORS as error:
                log.warning("worker_waits", worker=self.worker.name, error=type(error).__name__)
                self.progress.failed(error)
                idle = 1.0
            except Exception as error:  # noqa: BLE001 - a bug in one row must not stop the others; this one comes again later
                log.error("worker_failed", worker=self.worker.name, error=type(error).__name__)
                self.progress.failed(error)
                idle = 1.0
            if idle and not self._stopping:
                await self._clock.pause(LOOK_PAUSE_SECONDS)
                await wait(woken, idle)

    @contextmanager
    def _working(self, what: str, claimed: object) -> Iterator[None]:
        """In the trace of its cause."""
        with tracing.continuing(f"{self.worker.name} {what}", getattr(claimed, "traceparent", None)):
            yield


class WorkerRunner(Runner[Worker[Any, Any]]):
    """The three steps are public because the simulation schedules them one by one."""

    async def claim(self) -> Any:  # noqa: ANN401 - whatever its worker claims
        async with self._database.transaction() as db:
            return await self.worker.claim(db, await self._clock.lease_time(db), self._clock.now())

    async def call(self, claimed: Any) -> Any:  # noqa: ANN401
        with self._working("call", claimed):
            return await self._calls.observed(claimed, self.worker.call(claimed))

    async def outcome(self, claimed: Any, answer: Any) -> None:  # noqa: ANN401
        with self._working("outcome", claimed):
            async with self._database.transaction(tracing.traceparent()) as db:
                messages = await self.worker.outcome(claimed, answer, db, self._clock.now())
                await self._outbox.write(db, messages, tracing.traceparent())
        self._outbox.committed()

    async def step(self) -> bool:
        claimed = await self.claim()
        if claimed is None:
            return False
        answer = await self.call(claimed)
        await self.outcome_despite_transient_errors(claimed, answer)
        return True

    async def outcome_despite_transient_errors(self, claimed: object, answer: object) -> None:
        """A deadlock or a connection that is lost passes at once; without this, what the outside said would be asked for again."""
        for pause_seconds in OUTCOME_AGAIN_SECONDS:
            try:
                return await self.outcome(claimed, answer)
            except TRANSIENT_ERRORS as error:
                log.warning("outcome_again", worker=self.worker.name, error=type(error).__name__)
                await self._clock.pause(pause_seconds)
        return await self.outcome(claimed, answer)


class JobRunner(Runner[Job[Any]]):
    async def step(self) -> bool:
        claimed = None
        try:
            async with self._database.transaction() as db:
                claimed = await self.worker.claim(db, await self._clock.lease_time(db), self._clock.now())
                if claimed is None:
                    return False
                with self._working("job", claimed), WORK_SECONDS.labels(self.worker.name, "done").time():
                    await caused_by(db, tracing.traceparent())
                    messages = await self.worker.work(claimed, db, self._clock.now())
                    await self._outbox.write(db, messages, tracing.traceparent())
        except Exception as error:
            # What takes longer than a statement may would take as long the next time.
            if not isinstance(error, TRANSIENT_ERRORS) or isinstance(error, QueryCanceledError):
                await self._set_aside(claimed)
            raise
        self._outbox.committed()
        return True

    async def _set_aside(self, claimed: object) -> None:
        """After a transient error it is not, and comes again at once: what went wrong first is what counts."""
        if claimed is None or self.worker.set_aside is None:
            return
        log.error("set_aside", worker=self.worker.name, seconds=SET_ASIDE_SECONDS, **ids_in(claimed))
        SET_ASIDE.labels(self.worker.name).inc()
        with contextlib.suppress(*TRANSIENT_ERRORS):
            async with self._database.transaction() as db:
                until = await self._clock.lease_time(db) + timedelta(seconds=SET_ASIDE_SECONDS)
                await self.worker.set_aside(claimed, db, until)


def runner_of(worker: AnyWorker, database: Database, outbox: Outbox, clock: Clock) -> WorkerRunner | JobRunner:
    if isinstance(worker, Job):
        return JobRunner(worker, database, outbox, clock)
    return WorkerRunner(worker, database, outbox, clock)
