"""A service whose effects can be counted, standing on a log in memory and a real PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from asyncpg import Connection

from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillingFact
from shared.contracts.ledger import ReleaseReservation, ReservationReleased
from shared.contracts.message import Message, Park
from shared.runtime import parked
from shared.runtime.clock import VirtualClock, uuid7_of
from shared.runtime.database import Database
from shared.runtime.envelope import write
from shared.runtime.handling import Consumer
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.parked import Parked
from shared.runtime.service import Runtime, Service
from shared.runtime.transport import Headers, Outgoing, Partition, Record

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
COMMANDS = Partition("ledger.commands", 0)
TABLES = "CREATE TABLE effect (request_id bigint, at timestamptz); CREATE TABLE fact (number text, at timestamptz);"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Counting:
    """A service whose effects can be counted: one row in `effect` for each handled message."""

    def __init__(self) -> None:
        self.problems: list[BaseException] = []
        self.deadly: set[int] = set()
        self.odd_times = 1000

    async def release(self, ask: ReleaseReservation, db: Connection, now: datetime) -> Sequence[Message | Park]:
        await db.execute("INSERT INTO effect VALUES ($1, $2)", ask.request_id, now)
        if ask.request_id in self.deadly:
            raise Killed
        if self.problems:
            raise self.problems.pop(0)
        return [
            ReservationReleased(account_id=ask.account_id, request_id=ask.request_id, reservation_id=1, released_fen=1)
        ]

    async def releases(self, asks: list[ReleaseReservation], db: Connection, now: datetime) -> Sequence[Message | Park]:
        for ask in asks:
            if ask.request_id == 13:
                raise ValueError("thirteen")
            await db.execute("INSERT INTO effect VALUES ($1, $2)", ask.request_id, now)
        self.odd_times -= 1
        return [Park(ask, "ODD", "odd numbers wait") for ask in asks if ask.request_id == 7 and self.odd_times >= 0]

    async def facts(self, facts: list[BillingFact], db: Connection, now: datetime) -> Sequence[Message | Park]:
        await db.executemany("INSERT INTO fact VALUES ($1, $2)", [(fact.number, now) for fact in facts])
        return []

    async def topped_up(self, fact: CashToppedUp, db: Connection, now: datetime) -> Sequence[Message | Park]:
        await db.execute("INSERT INTO fact VALUES ($1, $2)", fact.number, now)
        if self.problems:
            raise self.problems.pop(0)
        return []


def upstream_service(migrations: Path, counting: Counting) -> Service:
    """Reads both of upstream's topics: one in batches, the other one by one."""
    return Service(
        "ledger",
        migrations,
        handlers={CashToppedUp: counting.topped_up},
        batches={"billing.events": counting.facts},
    )


class Stand:
    """One running service on a log in memory, with a clock that stands still."""

    def __init__(self, database: Database, service: Service) -> None:
        self.clock = VirtualClock(NOW)
        self.log = MemoryLog(partitions=1)
        self.transport = MemoryTransport(self.log)
        self.ids = iter(range(1, 1000))
        self.database = database
        self.service = service
        self.started()

    def started(self, *types_for_others: str) -> None:
        """As a new process: it knows what is in the database and in the log."""
        others = frozenset(types_for_others)
        self.runtime = Runtime(self.service, self.database, self.transport, self.clock, self.new_id, "1", others)

    @property
    def consumer(self) -> Consumer:
        return self.runtime.consumers["ledger.ledger.commands"]

    def new_id(self) -> UUID:
        return uuid7_of(0, next(self.ids))

    def arrived(self, request_id: int, event: int = 0) -> Record:
        message = ReleaseReservation(account_id=1, request_id=request_id)
        return self.log.append(write(message, uuid7_of(1, event or request_id), "/kaipiao/invoicing", NOW, None))

    async def effects(self) -> list[int]:
        async with self.database.read() as db:
            return [row[0] for row in await db.fetch("SELECT request_id FROM effect ORDER BY 1")]

    async def one(self, query: str) -> object:
        async with self.database.read() as db:
            return await db.fetchval(query)

    async def parked(self) -> list[tuple[int, str]]:
        async with self.database.read() as db:
            return [(one.offset, one.reason) for one in await parked.parked_records(db, "open")]

    async def take(
        self, topic: str, value: bytes | None, *headers: tuple[str, bytes | None], key: bytes = b"1"
    ) -> Record:
        """Append a record and let the service read it."""
        record = self.log.append(Outgoing(topic, key, value, tuple(headers)))  # type: ignore[arg-type]  # a tombstone
        await self.runtime.consumers[f"ledger.{topic}"].on_batch([record])
        return record

    async def facts(self) -> list[str]:
        async with self.database.read() as db:
            return [row[0] for row in await db.fetch("SELECT number FROM fact ORDER BY 1")]

    async def rows(self) -> list[Parked]:
        async with self.database.read() as db:
            return await parked.parked_records(db, "open")

    async def redriven(self, parked_id: int) -> dict[str, str]:
        """What came of it, and if it is still open, why."""
        status = await parked.redrive(
            self.database, self.runtime.consumers, parked_id, "ops", self.clock, self.runtime.parking
        )
        async with self.database.read() as db:
            found = await parked.parked_record(db, parked_id, self.runtime.parking)
        assert found is not None
        return {"status": status} | ({"reason": found.reason, "text": found.text} if status == "open" else {})

    async def as_owner(self, statement: str) -> None:
        owner = await asyncpg.connect(self.database.dsn)
        await owner.execute(statement)
        await owner.close()


def headers_of(kind: str, event_id: str = "e1", source: str = "/acme", **more: bytes) -> Headers:
    """Of an event in binary mode, complete."""
    attributes = {"specversion": b"1.0", "id": event_id.encode(), "source": source.encode(), "type": kind.encode()}
    attributes |= {"time": b"2026-03-10T10:00:00+08:00"} | more
    return (*((f"ce_{name}", value) for name, value in attributes.items()), ("content-type", b"application/json"))
