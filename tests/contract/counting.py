"""A small service whose effects can be counted, and several processes of it on real Kafka and a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from asyncpg import Connection

from shared.contracts.ledger import ReleaseReservation, ReservationReleased
from shared.contracts.message import Message, Park
from shared.runtime.clock import Clock, uuid7, uuid7_of
from shared.runtime.database import Database
from shared.runtime.envelope import write
from shared.runtime.kafka import KafkaTransport
from shared.runtime.roles import Roles
from shared.runtime.service import Runtime, Service
from shared.runtime.transport import Assigned, OnAssigned, OnBatch, Outgoing, Partition, Record
from tests.contract.broker import Broker, crash

COMMANDS, EVENTS, CONSUMER = "ledger.commands", "ledger.events", "ledger.ledger.commands"
NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)


@dataclass
class Counting:
    """One row in `effect` for each time a message took effect; `before` may hold a handler up or make it fail."""

    before: Callable[[ReleaseReservation], Awaitable[None]] | None = None

    async def release(self, command: ReleaseReservation, db: Connection, now: datetime) -> Sequence[Message | Park]:
        await db.execute("INSERT INTO effect VALUES ($1, $2)", command.request_id, now)
        if self.before is not None:
            await self.before(command)
        return [
            ReservationReleased(
                account_id=command.account_id, request_id=command.request_id, reservation_id=1, released_fen=1
            )
        ]


def migrations_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "001.sql").write_text("CREATE TABLE effect (request_id bigint, at timestamptz);", encoding="utf-8")
    return folder


class Renamed:
    """A transport under other names of topics and groups, so that tests on one broker do not meet."""

    def __init__(self, inner: KafkaTransport, name: str) -> None:
        self.inner = inner
        self._name = name
        self.start, self.stop_consuming, self.stop = inner.start, inner.stop_consuming, inner.stop
        self.unhealthy, self.broken, self.assigned = inner.unhealthy, inner.broken, inner.assigned
        self.reachable, self.lag = inner.reachable, inner.lag

    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        async def batch(records: Sequence[Record]) -> None:
            await on_batch([self._inside(record) for record in records])

        async def assigned(parts: Sequence[Assigned]) -> dict[Partition, int]:
            told = [Assigned(self._here(part.partition), part.committed, part.end, part.start) for part in parts]
            starts = await on_assigned(told)
            return {Partition(self.there(part.topic), part.number): offset for part, offset in starts.items()}

        self.inner.consume(self.there(group), [self.there(topic) for topic in topics], batch, assigned)

    async def send(self, records: Sequence[Outgoing]) -> None:
        await self.inner.send(
            [Outgoing(self.there(record.topic), record.key, record.value, record.headers) for record in records]
        )

    def there(self, name: str) -> str:
        return f"{self._name}.{name}"

    def _here(self, partition: Partition) -> Partition:
        return Partition(partition.topic.removeprefix(f"{self._name}."), partition.number)

    def _inside(self, record: Record) -> Record:
        return Record(self._here(record.partition), record.offset, record.key, record.value, record.headers)


@dataclass
class Process:
    """One running process of the service."""

    runtime: Runtime
    transport: Renamed

    async def die(self) -> None:
        """As by SIGKILL: no commit, no goodbye to the group, no lease given back."""
        await crash(self.transport.inner)
        tasks = [*self.runtime._tasks, *self.runtime._working]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@dataclass
class Deployment:
    """A topic of commands, a topic of events, a database; and as many processes as a test starts."""

    broker: Broker
    dsn: str
    roles: Roles
    migrations: Path

    async def process(
        self, replica: str = "1", counting: Counting | None = None, clock: Clock | None = None
    ) -> Process:
        counting, clock = counting or Counting(), clock or Clock()
        transport = Renamed(self.broker.transport(replica, clock), self.broker.name)
        database = await Database.open(self.dsn, self.roles, 8)
        self.broker.stack.push_async_callback(database.close)
        service = Service("ledger", self.migrations, handlers={ReleaseReservation: counting.release})
        runtime = Runtime(service, database, transport, clock, uuid7, replica)
        self.broker.stack.push_async_callback(runtime.stop)
        await runtime.start()
        return Process(runtime, transport)

    async def command(self, request_ids: Sequence[int], traceparent: str | None = None) -> None:
        """Commands of invoicing: request `n` by account `n % 20 + 1`, always under the same event id."""
        commands = [ReleaseReservation(account_id=number % 20 + 1, request_id=number) for number in request_ids]
        records = [
            write(command, uuid7_of(0, command.request_id), "/kaipiao/invoicing", NOW, traceparent)
            for command in commands
        ]
        sender = Renamed(self.broker.transport("sender"), self.broker.name)
        await sender.send(records)

    async def effects(self) -> list[int]:
        return [row[0] for row in await self.rows("SELECT request_id FROM effect ORDER BY 1")]

    async def had_effect(self, count: int) -> bool:
        return len(await self.effects()) >= count

    async def rows(self, query: str) -> list[asyncpg.Record]:
        """As the owner, who may look at and change everything."""
        db = await asyncpg.connect(self.dsn)
        try:
            return list(await db.fetch(query))
        finally:
            await db.close()

    async def committed(self) -> dict[int, int]:
        return await self.broker.committed(CONSUMER)

    async def lose_commits(self, of_each_partition: int) -> list[int]:
        """As a failover to a replica that lags: the last records' effects, inbox rows and offsets are gone. Answers which."""
        await self.rows(f"UPDATE runtime.consumer_offset SET next_offset = next_offset - {of_each_partition}")
        rows = await self.rows(
            """
            DELETE FROM runtime.inbox i USING runtime.consumer_offset o
            WHERE i."partition" = o."partition" AND i."offset" >= o.next_offset RETURNING i.event_id
            """
        )
        lost = [UUID(row["event_id"]).int & (2**62 - 1) for row in rows]
        await self.rows(f"DELETE FROM effect WHERE request_id = ANY('{{{','.join(map(str, lost))}}}')")
        return lost

    async def sent(self) -> list[Record]:
        return await self.broker.log(f"{self.broker.name}.{EVENTS}", 2)
