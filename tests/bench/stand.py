"""What measurements stand on: a PostgreSQL of their own, Kafkas of their own, databases filled once and cloned for every round."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.ledger.app import build
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.roles import Roles
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.transport import Outgoing, Record
from tests.support.databases import Databases
from tests.support.servers import KafkaCluster, PostgresServer, start_kafka, start_postgres

SERVICE = build(Settings())
BUFFERS = "1GB"
"""As a server for a ledger has, and `docker-compose.yml`. With too few, each writer first writes out what others left, in the middle of
its own transaction, and whoever waits for its locks waits for the disk."""
Fill = Callable[[Database], Awaitable[None]]


@dataclass
class Stand:
    """Servers start when they are first asked for, from the main thread, and end with the stand."""

    on_disk: bool = True
    _postgres: PostgresServer | None = None
    _databases: Databases | None = None
    _filled: dict[Path, Roles] = field(default_factory=dict)
    kafkas: dict[str, KafkaCluster] = field(default_factory=dict)

    @property
    def postgres(self) -> PostgresServer:
        self._postgres = self._postgres or start_postgres(on_disk=self.on_disk, shared_buffers=BUFFERS)
        return self._postgres

    @property
    def databases(self) -> Databases:
        self._databases = self._databases or Databases(self.postgres.dsn)
        return self._databases

    def kafka(self, name: str) -> str:
        """Address of a new one."""
        self.kafkas[name] = start_kafka()
        return self.kafkas[name].bootstrap

    @asynccontextmanager
    async def ledger(self, fill: Fill | None = None, connections: int = 12) -> AsyncIterator[Database]:
        """A database of the ledger, empty or as `fill` leaves it; gone at the end."""
        dsn, roles = await self.databases.dsn(SERVICE.migrations)
        if fill is not None:
            await self.databases.drop(dsn)
            key = await self._template(fill)
            (dsn, _), roles = await self.databases.dsn(key), self._filled[key]
        database = await Database.open(dsn, roles, connections)
        try:
            yield database
        finally:
            await database.close()
            await self.databases.drop(dsn)

    async def _template(self, fill: Fill) -> Path:
        key = Path(fill.__name__)
        if key not in self._filled:
            dsn, self._filled[key] = await self.databases.dsn(SERVICE.migrations)
            database = await Database.open(dsn, self._filled[key])
            await fill(database)
            await database.close()
            self.databases.templates[key] = dsn.rpartition("/")[2]
        return key

    def stop(self) -> None:
        for kafka in self.kafkas.values():
            kafka.stop()
        if self._postgres is not None:
            self._postgres.stop()


class HeardLog(MemoryLog):
    """A log that can be listened to."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: list[tuple[bytes, bytes, asyncio.Event]] = []

    def append(self, outgoing: Outgoing) -> Record:
        record = super().append(outgoing)
        for kind, mark, event in self._awaited:
            if mark in (record.value or b"") and dict(record.headers)["ce_type"] == kind:
                event.set()
        return record

    async def heard(self, kind: bytes, mark: bytes) -> None:
        """Until a message of that type says that; it may have been said before."""
        event = asyncio.Event()
        self._awaited.append((kind, mark, event))
        said = [record for part in self.of_topic("ledger.events") for record in self.records[part]]
        if not any(mark in (record.value or b"") and dict(record.headers)["ce_type"] == kind for record in said):
            await event.wait()


def in_memory(database: Database) -> Runtime:
    """The ledger as its process runs it, but for the log, which is in memory."""
    return Runtime(SERVICE, database, MemoryTransport(HeardLog()), Clock(), uuid7, "1")
