"""Whether the database and the broker answer, asked every few seconds with a time limit, on connections that nothing else uses.

Readiness is what they answered last, or that they did not. While one is away nothing can be settled, and nobody is unhealthy for that.
"""

import asyncio

import asyncpg
import structlog
from asyncpg import Connection

from shared.runtime.database import TRANSIENT_ERRORS, connect
from shared.runtime.metrics import AVAILABLE
from shared.runtime.service import Runtime

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 3.0
STALE_SECONDS = 9.0
"""A look is repeated sooner than this, however long it takes."""

log = structlog.get_logger()


class Dependencies:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._clock = runtime.clock
        self._db: Connection | None = None
        self._answered: dict[str, bool] = {}
        self._answered_at: float | None = None
        self._possible_since = 0.0
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await self._clock.pause(LOOK_SECONDS)

    async def answered(self) -> dict[str, bool]:
        """As of some seconds ago at most: whoever asks does not wait if somebody looks regularly."""
        if self._answered_at is None or self._clock.monotonic() - self._answered_at > STALE_SECONDS:
            await self.look()
        return self._answered

    def possible_since(self) -> float:
        """Since when, of the monotonic clock, both have been there."""
        return self._possible_since if all(self._answered.values()) else self._clock.monotonic()

    async def look(self) -> None:
        async with self._looking:
            database, kafka = await asyncio.gather(self._database_answers(), self._runtime.transport.reachable())
            answered = {"database": database, "kafka": kafka}
            if all(answered.values()) and not all(self._answered.values()):
                self._possible_since = self._clock.monotonic()
            for name, answers in answered.items():
                AVAILABLE.labels(name).set(answers)
                if answers != self._answered.get(name, True):
                    log.warning("dependency_is_back" if answers else "dependency_is_away", dependency=name)
            self._answered, self._answered_at = answered, self._clock.monotonic()

    async def _database_answers(self) -> bool:
        try:
            if self._db is None:
                self._db = await connect(
                    self._runtime.database.dsn, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS
                )
            return bool(await self._db.fetchval("SELECT NOT pg_is_in_recovery()"))
        except (asyncpg.PostgresError, *TRANSIENT_ERRORS):
            self.close()
            return False
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Without a word to a server that may not listen."""
        if self._db is not None:
            db, self._db = self._db, None
            db.terminate()
