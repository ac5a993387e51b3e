"""Looks every few seconds whether this process can still do its work, and ends it when it can't: a supervisor starts a new one.

A broken consumer of this client library looks healthy from outside for ever, so the only honest repair is a new process.
"""

import os
from datetime import UTC, datetime, timedelta

import structlog

from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.metrics import LOOP_LAG
from shared.runtime.service import Runtime

LOOK_SECONDS = 5.0
LOOP_LATE_SECONDS = 5.0
UNSENT_MAX = timedelta(seconds=60)
EXIT_STATUS = 70

log = structlog.get_logger()


class Watchdog:
    """`reason` is what `/livez` tells."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._late = 0
        self._reason: str | None = None

    def reason(self) -> str | None:
        return self._reason

    async def run(self) -> None:
        clock = self._runtime.clock
        while self._reason is None:
            before = clock.real()
            await clock.pause(LOOK_SECONDS)
            lag = (clock.real() - before).total_seconds() - LOOK_SECONDS
            LOOP_LAG.set(lag)
            self._late = self._late + 1 if lag > LOOP_LATE_SECONDS else 0
            self._reason = await self.look()
        log.error("watchdog_ends_process", reason=self._reason)
        os._exit(EXIT_STATUS)

    async def look(self) -> str | None:
        if self._late > 1:
            return "the event loop is blocked"
        if (failed := self._runtime.failed_task()) is not None:
            return f"a task has ended: {type(failed).__name__}"
        if (unhealthy := self._runtime.transport.unhealthy()) is not None:
            return unhealthy
        return "the outbox stands still" if await self._outbox_stands_still() else None

    async def _outbox_stands_still(self) -> bool:
        """Only while this process is the active relay; a broker or database that is away passes by itself and is no reason to end."""
        if not self._runtime.relay.is_active() or self._runtime.relay.in_transient_error():
            return False
        try:
            async with self._runtime.read() as db:
                oldest = await db.fetchval("SELECT min(created_at) FROM runtime.outbox WHERE sent_at IS NULL")
        except TRANSIENT_ERRORS:
            return False
        return oldest is not None and datetime.now(UTC) - oldest > UNSENT_MAX
