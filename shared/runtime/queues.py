"""What waits, for an operator: each queue of a service, its parked records and its pools, read in the background by one process of the
service, that with the active relay. `/metrics` shows what was read last and asks nobody.

A service names its queues in `app.py`. A statement gives how many rows wait and since when the oldest does, in business time; the partial
index of the worker that takes them answers it.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from asyncpg import Connection, PostgresError

from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.metrics import PARKED_BY_REASON, POOL_CONNECTIONS, QUEUE_DEPTH, QUEUE_OLDEST

if TYPE_CHECKING:
    from shared.runtime.service import Runtime

READ_SECONDS = 10.0
STATEMENT_SECONDS, QUEUE_SECONDS = 3, 5.0
"""Looking may never hold up what it looks at."""

log = structlog.get_logger()

Queues = Mapping[str, str]
"""Name to a statement whose one row is how many wait, and since when the oldest does."""


class QueueReader:
    """Of one process."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._service = runtime.service.name
        self._reasons: set[tuple[str, str]] = set()
        self._unread: set[str] = set()

    async def run(self) -> None:
        while True:
            self.look_at_pools()
            await self.look()
            await asyncio.sleep(READ_SECONDS)

    def look_at_pools(self) -> None:
        for name, (used, most) in self._runtime.database.pools().items():
            POOL_CONNECTIONS.labels(self._service, name, "in_use").set(used)
            POOL_CONNECTIONS.labels(self._service, name, "most").set(most)

    async def look(self) -> None:
        """Each queue by itself, so that one that cannot be read does not hide the others. Who stands by shows nothing."""
        if not self._runtime.relay.is_active():
            self._forget()
            return
        for name, statement in self._runtime.service.queues.items():
            await self._look_at(name, statement)
        await self._look_at_parked()

    async def _look_at(self, name: str, statement: str) -> None:
        try:
            async with asyncio.timeout(QUEUE_SECONDS), self._runtime.read() as db:
                await _bounded(db)
                depth, since = await db.fetchrow(statement) or (0, None)
        except (PostgresError, *TRANSIENT_ERRORS) as error:
            self._cannot(name, error)
            return
        self._unread.discard(name)
        waits = 0.0 if since is None else max(0.0, (self._runtime.clock.now() - since).total_seconds())
        QUEUE_DEPTH.labels(self._service, name).set(depth)
        QUEUE_OLDEST.labels(self._service, name).set(waits)

    async def _look_at_parked(self) -> None:
        try:
            async with asyncio.timeout(QUEUE_SECONDS), self._runtime.read() as db:
                await _bounded(db)
                rows = await db.fetch(
                    "SELECT consumer, reason, count(*) FROM runtime.parked WHERE status = 'open' GROUP BY 1, 2 ORDER BY 1, 2"
                )
        except (PostgresError, *TRANSIENT_ERRORS) as error:
            self._cannot("parked", error)
            return
        self._unread.discard("parked")
        found = {(row["consumer"], row["reason"]): row["count"] for row in rows}
        for gone in self._reasons - found.keys():
            PARKED_BY_REASON.remove(self._service, *gone)
        self._reasons = {*found}
        for (consumer, reason), count in found.items():
            PARKED_BY_REASON.labels(self._service, consumer, reason).set(count)

    def _cannot(self, name: str, error: Exception) -> None:
        """Told once, until it can be read again: the metric of that queue is old meanwhile."""
        if name not in self._unread:
            self._unread.add(name)
            log.warning("queue_not_read", queue=name, error=type(error).__name__)

    def _forget(self) -> None:
        for name in self._runtime.service.queues:
            QUEUE_DEPTH.remove(self._service, name)
            QUEUE_OLDEST.remove(self._service, name)
        for one in self._reasons:
            PARKED_BY_REASON.remove(self._service, *one)
        self._reasons = set()


async def _bounded(db: Connection) -> None:
    await db.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
