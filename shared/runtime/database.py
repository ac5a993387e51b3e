"""PostgreSQL: the pool, the one transaction boundary, and which errors are weather.

Weather passes by itself (a lost connection, a deadlock, a restart); it is retried and never counts as an attempt.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

WEATHER = (
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,  # serialisation, deadlock
    asyncpg.OperatorInterventionError,  # shutdown, statement timeout
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary has moved
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)

TIMEOUTS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    "jit": "off",
}


class Database:
    """One service's database. Every transaction of the process is opened here, and nowhere else."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn

    @classmethod
    async def open(cls, dsn: str, role: str | None = None, connections: int = 12) -> "Database":
        """`role` is what the connections act as (`SET ROLE`): the serving role, which may not change append-only tables."""
        settings = TIMEOUTS | ({"role": role} if role else {})
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=connections, server_settings=settings, command_timeout=30, timeout=10
        )
        return cls(pool, dsn)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self, traceparent: str | None = None) -> AsyncIterator[Connection]:
        """Rows that wait for a worker take `traceparent` from the setting `kaipiao.traceparent` by their column's default."""
        async with self._pool.acquire() as db:
            transaction = db.transaction()
            await transaction.start()
            try:
                if traceparent is not None:
                    await db.execute("SELECT set_config('kaipiao.traceparent', $1, true)", traceparent)
                yield _connection(db)
            except BaseException:
                with contextlib.suppress(*WEATHER):  # a connection that is gone has rolled back; the first error counts
                    await _finish(transaction.rollback())
                raise
            await _finish(transaction.commit())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """For queries; several statements see one snapshot."""
        async with self._pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
            yield _connection(db)


def _connection(db: "PoolConnectionProxy[asyncpg.Record]") -> Connection:
    return db  # type: ignore[return-value]  # the proxy has all of the connection's methods, its stub does not say so


async def _finish(end: object) -> None:
    """Let COMMIT or ROLLBACK end even if we are cancelled meanwhile: half a commit would leave the outcome unknown."""
    task = asyncio.ensure_future(end)  # type: ignore[call-overload]
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            await task
        raise
