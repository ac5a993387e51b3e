"""PostgreSQL: the pool, the one transaction boundary, and which errors are transient.

A transient error passes by itself (a lost connection, a deadlock, a restart); it is retried and never counts as an attempt.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from shared.runtime.roles import Roles

TRANSIENT_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,  # serialisation, deadlock
    asyncpg.OperatorInterventionError,  # shutdown, statement timeout
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary has moved
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was lost between two statements, if asyncpg has half noticed
    OSError,
    TimeoutError,
)

LISTS = "SELECT $1::bigint[], $2::int[], $3::text[], $4::bytea[], $5::timestamptz[], $6::jsonb[], $7::bool[]"
CLOSE_SECONDS = 3.0
SERVE_TIMEOUT = "5s"
"""Whoever waits for an answer over HTTP does not wait as long as a handler may work."""
TIMEOUTS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    "jit": "off",
}


class _PooledConnection(asyncpg.Connection):
    """Leaves nothing behind that would have to be reset between two transactions: settings and roles are set for one only."""

    def get_reset_query(self) -> str:
        return ""


async def _learn_lists(db: Connection) -> None:
    """asyncpg looks up types it meets first, in each connection anew: here, and not later while a transaction holds locks."""
    await db.prepare(LISTS)


class Database:
    """One service's database. Every transaction of the process is opened here, and nowhere else."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", dsn: str, roles: Roles) -> None:
        self._pool = pool
        self._roles = roles
        self.dsn = dsn

    @classmethod
    async def open(cls, dsn: str, roles: Roles, connections: int = 12) -> "Database":
        """Connections act as the working role; transactions on behalf of an account as the serving one (`roles.py`)."""
        settings = TIMEOUTS | {"role": roles.work}
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            server_settings=settings,
            command_timeout=30,
            timeout=10,
            connection_class=_PooledConnection,
            init=_learn_lists,
        )
        return cls(pool, dsn, roles)

    async def close(self) -> None:
        """The pool waits for connections in use, and terminates them when it may not wait longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()

    def pools(self) -> dict[str, tuple[int, int]]:
        """Of each pool, by its purpose: connections in use, and how many there may be."""
        return {"all": (self._pool.get_size() - self._pool.get_idle_size(), self._pool.get_max_size())}

    @asynccontextmanager
    async def transaction(
        self, traceparent: str | None = None, account_id: int | None = None
    ) -> AsyncIterator[Connection]:
        """`traceparent` names its cause."""
        async with self._pool.acquire() as db:
            transaction = db.transaction()
            await transaction.start()
            try:
                await caused_by(_connection(db), traceparent)
                await self._on_behalf_of(db, account_id)
                yield _connection(db)
            except BaseException:
                with contextlib.suppress(
                    *TRANSIENT_ERRORS
                ):  # a connection that is gone has rolled back; the first error counts
                    await _finish(transaction.rollback())
                raise
            await _finish(transaction.commit())

    @asynccontextmanager
    async def read(self, account_id: int | None = None) -> AsyncIterator[Connection]:
        """For queries; several statements see one snapshot."""
        async with self._pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
            await self._on_behalf_of(db, account_id)
            yield _connection(db)

    async def _on_behalf_of(self, db: "PoolConnectionProxy[asyncpg.Record]", account_id: int | None) -> None:
        """Until the transaction ends, only this account's rows exist."""
        if account_id is not None:
            await db.execute(
                f"SET LOCAL ROLE \"{self._roles.serve}\"; SET LOCAL statement_timeout = '{SERVE_TIMEOUT}'; "
                f"SET LOCAL kaipiao.account_id = '{account_id:d}'"
            )


async def caused_by(db: Connection, traceparent: str | None) -> None:
    """Rows that wait for a worker take it from the setting `kaipiao.traceparent` by their column's default, until the transaction ends."""
    if traceparent is not None:
        await db.execute("SELECT set_config('kaipiao.traceparent', $1, true)", traceparent)


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
