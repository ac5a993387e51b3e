"""A PostgreSQL primary and its standby. Clients know one address, a proxy's; the standby reaches its primary through another.

A promotion kills the primary, makes the standby one, and sends the clients there. `rejoin` makes a new standby of the old primary's place.
Only while a standby streams does a synchronous primary wait for it.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import asyncpg

from deploy.demo.client import eventually
from deploy.local import folders, postgres
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.postgres import DATABASE, OWNER, PostgresPrograms, PostgresSettings
from tests.nemesis.proxy import Proxies, Proxy
from tests.support.servers import MEMORY_BYTES_MIN, PostgresServer

STANDBY = "standby"
Prepared = Callable[[PostgresServer], Awaitable[None]]
PROMOTION_SECONDS, STREAMING_SECONDS, START_SECONDS = 30, 60.0, 60.0


@dataclass
class Pair:
    """Two servers, one of which is the primary."""

    primary: PostgresServer
    standby: PostgresServer
    clients: Proxy
    replication: Proxy
    proxies: Proxies
    synchronous: bool
    ports: Ports
    held: IO[str]
    promotions: int = 0

    @classmethod
    def start(cls, proxies: Proxies, synchronous: bool = True, folder: Path | None = None) -> "Pair":
        """`folder`: where the primary's data lie, if it matters."""
        scratch, held = folders.scratch(folders.in_memory(MEMORY_BYTES_MIN))
        ports = Ports()
        using = postgres.programs()
        first, second = (
            _server(place / "postgres", scratch / f"postgres-{number}.log", port, using)
            for number, (place, port) in enumerate(
                zip((folder or scratch / "1", scratch / "2"), ports.any_free(2), strict=True), 1
            )
        )
        for server in (first, second):
            folders.make(_settings(server).folder.parent)
        postgres.prepare(_settings(first), using)
        first.start()
        clients = proxies.open("postgres", _address(first))
        replication = proxies.open("replication", _address(first))
        pair = cls(first, second, clients, replication, proxies, synchronous, ports, held)
        asyncio.run(pair.follow())
        return pair

    @property
    def dsn(self) -> str:
        return f"postgresql://{OWNER}@{LOOPBACK}:{self.clients.port}/{DATABASE}"

    async def follow(self) -> None:
        """The standby becomes a copy of the primary, and follows it."""
        settings = _settings(self.standby)
        await asyncio.to_thread(_copy, self.standby, self.replication.port)
        launch_again(self.standby)
        await eventually("standby", lambda: asyncio.to_thread(postgres.answers, settings.port), START_SECONDS)
        await eventually("streaming standby", self.is_streaming, STREAMING_SECONDS)
        await self._wait_for_the_standby(self.synchronous)

    async def is_streaming(self) -> bool:
        query = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')"
        return bool(await self.ask(self.primary, query))

    async def caught_up(self) -> None:
        """The standby has all that the primary has at this moment."""
        at = await self.ask(self.primary, "SELECT pg_current_wal_lsn()::text")

        async def has_it() -> bool:
            return bool(await self.ask(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn"))

        await eventually("standby that has caught up", has_it, STREAMING_SECONDS)

    async def promote(self, prepared: Prepared | None = None) -> None:
        """The primary dies at once, and whoever comes back to the address comes to the standby. `prepared`: what is done to it before."""
        self.proxies.tell(self.clients.cut)
        self.primary.kill()
        await self.ask(self.standby, f"SELECT pg_promote(true, {PROMOTION_SECONDS})")
        if prepared is not None:
            await prepared(self.standby)
        self.primary, self.standby = self.standby, self.primary
        self.promotions += 1
        for proxy in (self.clients, self.replication):
            self.proxies.tell(lambda one=proxy: one.redirect(_address(self.primary)))  # type: ignore[misc]
        self.proxies.tell(self.clients.pass_on)

    async def rejoin(self) -> None:
        self.proxies.tell(self.replication.pass_on)
        shutil.rmtree(_settings(self.standby).folder)
        await self.follow()

    async def ask(self, server: PostgresServer, query: str) -> Any:  # noqa: ANN401 - one value of whatever type
        """Not through a proxy."""
        db = await asyncpg.connect(server.dsn)
        try:
            return await db.fetchval(query)
        finally:
            await db.close()

    async def _wait_for_the_standby(self, synchronous: bool) -> None:
        await self.ask(self.primary, f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY if synchronous else ''}'")
        await self.ask(self.primary, "SELECT pg_reload_conf()")
        if synchronous:
            await eventually("synchronous standby", self._is_synchronous, STREAMING_SECONDS)

    async def _is_synchronous(self) -> bool:
        query = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')"
        return bool(await self.ask(self.primary, query))

    def stop(self) -> None:
        for server in (self.primary, self.standby):
            if server.child is not None:
                server.child.kill()
        shutil.rmtree(Path(self.held.name).parent, ignore_errors=True)
        self.held.close()
        self.ports.close()


def _server(folder: Path, log: Path, port: int, using: PostgresPrograms) -> PostgresServer:
    settings = PostgresSettings(folder, port, log, replicated=True)
    return PostgresServer(settings.dsn, settings, using)


def _settings(server: PostgresServer) -> PostgresSettings:
    assert server.settings is not None, "both are ours"
    return server.settings


def _address(server: PostgresServer) -> tuple[str, int]:
    return LOOPBACK, _settings(server).port


def launch_again(server: PostgresServer) -> None:
    """On the data that are there. Returns at once, and it may end at once."""
    assert server.programs is not None, "both are ours"
    server.child = postgres.launch(_settings(server), server.programs)


def _copy(standby: PostgresServer, port: int) -> None:
    """A base backup that knows whom to follow: the server behind this port."""
    settings, using = _settings(standby), standby.programs
    assert using is not None, "both are ours"
    where = f"host={LOOPBACK} port={port} user={OWNER} application_name={STANDBY}"
    argv = [str(using.bin / "pg_basebackup"), "-D", str(settings.folder), "-d", where]
    argv += ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]
    account = postgres.server_account()
    fresh = folders.make(settings.folder, 0o700)
    if account is not None:
        shutil.chown(fresh, *account)
    postgres.once(argv, account, settings.log)
