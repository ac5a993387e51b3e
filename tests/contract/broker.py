"""A real broker as one test sees it: topics and groups of its own, readers whose handler it controls, and what the broker has kept."""

import asyncio
import inspect
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.runtime.clock import Clock
from shared.runtime.kafka import KafkaTransport
from shared.runtime.kafka_reader import Patience
from shared.runtime.settings import Settings
from shared.runtime.transport import Assigned, Headers, Outgoing, Partition, Record

HURRIED = Patience(session_ms=6_000, heartbeat_ms=300, handlers_seconds=5, send_seconds=2, retry_seconds=0.05)
"""Six seconds is the shortest session a broker accepts."""

_numbers = itertools.count(1)


async def until(condition: Callable[[], object | Awaitable[object]], what: str, seconds: float = 20.0) -> None:
    """Wait for something to become true, and say what never did."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        await asyncio.sleep(0.005)


class Ahead(Clock):
    """Real time, and whatever a test adds to it; remembers who paused."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await super().pause(seconds)

    def real(self) -> datetime:
        return super().real() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


def never(_: Sequence[Record]) -> Exception | None:
    return None


@dataclass
class Handler:
    """A handler that the test controls: it notes what it was given, may wait at a gate, and fails when it is told to."""

    given: list[list[Record]] = field(default_factory=list)
    done: list[Record] = field(default_factory=list)
    assignments: list[list[Assigned]] = field(default_factory=list)
    starts: dict[Partition, int] = field(default_factory=dict)
    fails: Callable[[Sequence[Record]], Exception | None] = never
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    before_start: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    async def on_batch(self, records: Sequence[Record]) -> None:
        self.given.append(list(records))
        await self.gate.wait()
        problem = self.fails(records)
        if problem is not None:
            raise problem
        self.done.extend(records)

    async def on_assigned(self, assigned: Sequence[Assigned]) -> dict[Partition, int]:
        if self.before_start is not None:
            await self.before_start()
        self.assignments.append(list(assigned))
        return {one.partition: self.starts[one.partition] for one in assigned if one.partition in self.starts}

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.done]

    @property
    def partitions(self) -> set[int]:
        """Those it has now."""
        return {one.partition.number for one in self.assignments[-1]} if self.assignments else set()


@dataclass
class Broker:
    """A broker for one test: names of topics and groups that no other test uses, and everything closed at its end."""

    bootstrap: str
    admin: AIOKafkaAdminClient
    producer: AIOKafkaProducer
    stack: AsyncExitStack
    name: str

    async def topic(self, partitions: int = 1) -> str:
        topic = f"{self.name}.topic-{next(_numbers)}"
        await self.make(topic, partitions)
        return topic

    async def make(self, topic: str, partitions: int) -> None:
        answer = await self.admin.create_topics([NewTopic(topic, partitions, 1)])
        assert [error for _, error, *_ in answer.topic_errors] == [0]
        await until(lambda: self._has_leaders(topic, partitions), f"{topic} has leaders")

    async def _has_leaders(self, topic: str, partitions: int) -> bool:
        (described,) = await self.admin.describe_topics([topic])
        return [part["leader"] > 0 for part in described["partitions"]] == [True] * partitions

    async def delete_records(self, topic: str, partitions: int) -> None:
        """All there are, as retention does."""
        parts = [TopicPartition(topic, number) for number in range(partitions)]
        await self.admin.delete_records({part: RecordsToDelete(before_offset=-1) for part in parts})

    def settings(self, replica: str = "1", **more: Any) -> Settings:  # noqa: ANN401
        return Settings(kafka_bootstrap=self.bootstrap, replica=replica, **more)

    def transport(
        self,
        replica: str = "1",
        clock: Clock | None = None,
        patience: Patience = HURRIED,
        **more: Any,  # noqa: ANN401
    ) -> KafkaTransport:
        """A process's transport; stopped at the end if the test has not done so."""
        transport = KafkaTransport(self.settings(replica, **more), self.name, clock or Clock(), patience)
        self.stack.push_async_callback(transport.stop)
        self.stack.push_async_callback(transport.stop_consuming)
        return transport

    async def reader(
        self,
        topic: str,
        handler: Handler,
        replica: str = "1",
        group: str = "group",
        clock: Clock | None = None,
        patience: Patience = HURRIED,
        **more: Any,  # noqa: ANN401
    ) -> KafkaTransport:
        """A process that reads; returns as soon as it is a member of the group."""
        transport = self.transport(replica, clock, patience, **more)
        transport.consume(self.group(group), [topic], handler.on_batch, handler.on_assigned)
        await transport.start()
        return transport

    def group(self, group: str = "group") -> str:
        return f"{self.name}.{group}"

    async def write(self, topic: str, values: Sequence[bytes], partition: int | None = 0) -> None:
        for value in values:
            await self.producer.send(topic, value, partition=partition)
        await self.producer.flush()

    async def committed(self, group: str = "group") -> dict[int, int]:
        offsets = await self.admin.list_consumer_group_offsets(self.group(group))
        return {part.partition: found.offset for part, found in offsets.items() if found.offset >= 0}

    async def has_committed(self, offsets: dict[int, int], group: str = "group") -> bool:
        return await self.committed(group) == offsets

    async def log(self, topic: str, partitions: int = 1) -> list[Record]:
        """All that the broker keeps of a topic, partition by partition, read without a group."""
        parts = [TopicPartition(topic, number) for number in range(partitions)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            kept: list[Record] = []
            while len(kept) < sum(ends.values()):
                for part, records in (await consumer.getmany(timeout_ms=1000)).items():
                    kept += [_record(part, one.offset, one.key, one.value, tuple(one.headers)) for one in records]
            return sorted(kept, key=lambda record: (record.partition.number, record.offset))
        finally:
            await consumer.stop()


def _record(part: TopicPartition, offset: int, key: bytes | None, value: bytes | None, headers: Headers) -> Record:
    return Record(Partition(part.topic, part.partition), offset, key, value, headers)


@asynccontextmanager
async def broker_on(bootstrap: str) -> AsyncIterator[Broker]:
    async with AsyncExitStack() as stack:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        stack.push_async_callback(admin.close)
        await admin.start()
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
        stack.push_async_callback(producer.stop)
        await producer.start()
        yield Broker(bootstrap, admin, producer, stack, f"test-{next(_numbers)}")


async def crash(transport: KafkaTransport) -> None:
    """End a process's consumers as SIGKILL would, as far as the group can see: no commit, no goodbye."""
    for subscriber in transport._broker.subscribers:
        assert isinstance(subscriber, BatchSubscriber)
        assert subscriber.consumer is not None
        tasks = list(subscriber.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await subscriber.consumer.stop()


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def outgoing(topic: str, values: Sequence[bytes], key: bytes = b"1") -> list[Outgoing]:
    return [Outgoing(topic, key, value, ()) for value in values]
