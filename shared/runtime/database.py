"""PostgreSQL: pools by purpose, the one transaction boundary, connections that find the primary, and which errors are transient.

A transient error passes by itself (a lost connection, a deadlock, a restart); it is retried and never counts as an attempt.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from shared.runtime.dsn import each_host, name_of, with_database
from shared.runtime.purposes import ACQUIRE_SECONDS, PURPOSE, Purpose
from shared.runtime.roles import Roles, quoted

CONNECT_SECONDS, HOST_SECONDS = 10.0, 3.0
"""For a connection, and for each host of several: one that is silent must not keep us from the next."""

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

    def __init__(self, pools: "Mapping[Purpose, asyncpg.Pool[asyncpg.Record]]", dsn: str, roles: Roles) -> None:
        self._pools = pools
        self._roles = roles
        self.dsn = dsn

    @classmethod
    async def open(cls, dsn: str, roles: Roles, connections: int | Mapping[Purpose, int] = 12) -> "Database":
        """Connections act as the working role; transactions on behalf of an account as the serving one (`roles.py`).

        `connections`: how many at most, for each purpose.
        """
        pools = {
            purpose: await asyncpg.create_pool(  # type: ignore[call-overload]  # its stub wants a protocol of every option
                dsn,
                min_size=1 if purpose == "handlers" else 0,
                max_size=connections if isinstance(connections, int) else connections[purpose],
                server_settings=TIMEOUTS | {"role": roles.work},
                command_timeout=30,
                connect=connect,
                connection_class=_PooledConnection,
                init=_learn_lists,
            )
            for purpose in ACQUIRE_SECONDS
        }
        return cls(pools, dsn, roles)

    async def close(self) -> None:
        """The pools wait for connections in use, and terminate them when they may not wait longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        purpose = PURPOSE.get()
        pool = self._pools[purpose]
        async with asyncio.timeout(ACQUIRE_SECONDS[purpose]):
            db = await pool.acquire()
        try:
            yield db
        except asyncpg.ReadOnlySQLTransactionError:
            await self._look_for_the_primary()
            raise
        finally:
            await pool.release(db)

    async def _look_for_the_primary(self) -> None:
        """Where we are connected nothing can be written any more: every connection is made anew, to whoever is primary now."""
        for pool in self._pools.values():
            await pool.expire_connections()

    def pools(self) -> dict[str, tuple[int, int]]:
        """Of each pool, by its purpose: connections in use, and how many there may be."""
        return {
            purpose: (pool.get_size() - pool.get_idle_size(), pool.get_max_size())
            for purpose, pool in self._pools.items()
        }

    @asynccontextmanager
    async def transaction(
        self, traceparent: str | None = None, account_id: int | None = None
    ) -> AsyncIterator[Connection]:
        """`traceparent` names its cause."""
        async with self._connected() as db:
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
        async with self._connected() as db, db.transaction(isolation="repeatable_read", readonly=True):
            await self._on_behalf_of(db, account_id)
            yield _connection(db)

    async def _on_behalf_of(self, db: "PoolConnectionProxy[asyncpg.Record]", account_id: int | None) -> None:
        """Until the transaction ends, only this account's rows exist."""
        if account_id is not None:
            await db.execute(
                f"SET LOCAL ROLE \"{self._roles.serve}\"; SET LOCAL statement_timeout = '{SERVE_TIMEOUT}'; "
                f"SET LOCAL kaipiao.account_id = '{account_id:d}'"
            )


async def connect(dsn: str, **options: Any) -> Connection:  # noqa: ANN401 - as asyncpg takes them
    """asyncpg's, but each host of several has a time of its own, and one that takes no sessions is passed over like one that is gone."""
    hosts = each_host(dsn)
    seconds = HOST_SECONDS if len(hosts) > 1 else CONNECT_SECONDS
    for host in hosts[:-1]:
        with contextlib.suppress(OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched):
            return await asyncpg.connect(host, **{"timeout": seconds, **options})
    return await asyncpg.connect(hosts[-1], **{"timeout": seconds, **options})


async def create_database(dsn: str) -> None:
    """Make the database unless it is there. Two processes may try at once."""
    try:
        db = await connect(dsn)
    except asyncpg.InvalidCatalogNameError:
        db = await connect(with_database(dsn, "postgres"))
        try:
            await db.execute(f"CREATE DATABASE {quoted(name_of(dsn))} TEMPLATE template0")
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            pass
        finally:
            await db.close()
    else:
        await db.close()


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
