"""Due-row workers: how the outside world is called. Claim with a lease in one transaction, call with none open, record the outcome
in another. A crash between the two leaves an expired lease, and the next claim finds out what happened before it asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from asyncpg import Connection

from shared.contracts.message import Message
from shared.runtime import tracing
from shared.runtime.clock import Clock
from shared.runtime.database import WEATHER, Database
from shared.runtime.metrics import WORK_SECONDS
from shared.runtime.outbox import Outbox, wait

OUTCOME_AGAIN_SECONDS = (0.1, 1.0)
"""How often an outcome is tried again in weather, and after how long; then the lease runs out, and the outside is asked again."""
LOOK_PAUSE_SECONDS = 0.1
"""Whoever found nothing is woken again after this at the earliest: each commit wakes all workers of the process."""

C = TypeVar("C")
A = TypeVar("A")

log = structlog.get_logger()


@dataclass(frozen=True)
class Worker(Generic[C, A]):
    """`claim` is given real time, which leases and back-off use, and business time; `outcome` is given business time.

    A claimed value may have a `traceparent`: the work then continues the trace of its cause.
    """

    name: str
    claim: Callable[[Connection, datetime, datetime], Awaitable[C | None]]
    call: Callable[[C], Awaitable[A]]
    outcome: Callable[[C, A, Connection, datetime], Awaitable[Sequence[Message]]]
    concurrency: int = 2
    idle_seconds: float = 0.25


class Runner(Generic[C, A]):
    """Runs one worker against one database. The three steps are public because the simulation schedules them one by one."""

    def __init__(self, worker: Worker[C, A], database: Database, outbox: Outbox, clock: Clock) -> None:
        self.worker = worker
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._stopping = False

    def stop(self) -> None:
        """After the step it is at, `run` ends."""
        self._stopping = True

    async def claim(self) -> C | None:
        async with self._database.transaction() as db:
            return await self.worker.claim(db, self._clock.real(), self._clock.now())

    async def call(self, claimed: C) -> A:
        with tracing.continuing(f"{self.worker.name} call", getattr(claimed, "traceparent", None)):
            return await self.worker.call(claimed)

    async def outcome(self, claimed: C, answer: A) -> None:
        with tracing.continuing(f"{self.worker.name} outcome", getattr(claimed, "traceparent", None)):
            async with self._database.transaction(tracing.traceparent()) as db:
                messages = await self.worker.outcome(claimed, answer, db, self._clock.now())
                await self._outbox.write(db, messages, tracing.traceparent())
        self._outbox.committed()

    async def step(self) -> bool:
        """One due row, if there is one."""
        claimed = await self.claim()
        if claimed is None:
            return False
        with WORK_SECONDS.labels(self.worker.name, "done").time():
            answer = await self.call(claimed)
        await self._outcome_in_any_weather(claimed, answer)
        return True

    async def _outcome_in_any_weather(self, claimed: C, answer: A) -> None:
        """A deadlock or a connection that is lost passes at once; without this, what the outside said would be asked for again."""
        for pause_seconds in OUTCOME_AGAIN_SECONDS:
            try:
                return await self.outcome(claimed, answer)
            except WEATHER as error:
                log.warning("outcome_again", worker=self.worker.name, error=type(error).__name__)
                await asyncio.sleep(pause_seconds)
        return await self.outcome(claimed, answer)

    async def run(self, woken: asyncio.Event) -> None:
        while not self._stopping:
            try:
                idle = 0.0 if await self.step() else self.worker.idle_seconds
            except WEATHER as error:
                log.warning("worker_waits", worker=self.worker.name, error=type(error).__name__)
                idle = 1.0
            except Exception as error:  # noqa: BLE001 - a bug in one row must not stop the others; its lease runs out and it comes again
                log.error("worker_failed", worker=self.worker.name, error=type(error).__name__)
                idle = 1.0
            if idle and not self._stopping:
                await asyncio.sleep(LOOK_PAUSE_SECONDS)
                await wait(woken, idle)


AnyWorker = Worker[Any, Any]
