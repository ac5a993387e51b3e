"""The test clock: one offset between wall time and business time for all processes, so that the 3rd of next month can be shown today.

The offset stands in a compacted topic of one partition, beside the acknowledgement of each process that follows it. A process knows
the offset before it does anything; whoever moves the clock waits until every follower has acknowledged. Time never goes back.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.runtime.clock import Clock
from shared.runtime.security import kafka_security
from shared.runtime.settings import Settings

TOPIC = "clock.offset"
OFFSET_KEY = "offset"
FOLLOWER = "follower/"
FETCH_WAIT_MS = 500
ACKNOWLEDGE_SECONDS = 5.0
START_SECONDS = 30.0
RETRY_SECONDS = 1.0

log = structlog.get_logger()


class TimeCannotGoBack(Exception):  # noqa: N818 - a refusal
    """What has arrived would lie in the future."""


class NotAcknowledged(Exception):  # noqa: N818
    """The clock has moved, and `late` did not say in time that they know."""

    def __init__(self, late: list[str]) -> None:
        super().__init__(", ".join(late))
        self.late = late


class SharedClock:
    """One process's end of the test clock. It sets `clock.offset`.

    Who comes in reads up to its own acknowledgement, and a mover up to its own move: the topic has one order, so that either the
    newcomer knows the move or the mover knows the newcomer.
    """

    def __init__(self, settings: Settings, process: str, clock: Clock, topic: str = TOPIC) -> None:
        self._settings = settings
        self._partition = TopicPartition(topic, 0)
        self._process = process
        self._clock = clock
        self._followers: dict[str, int] = {}
        self._version = -1
        self._changed = asyncio.Condition()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            **kafka_security(settings),
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=0, **kafka_security(settings)
        )

    @property
    def followers(self) -> list[str]:
        return sorted(self._followers)

    @asynccontextmanager
    async def following(self) -> AsyncIterator["SharedClock"]:
        """The offset is known when this is entered. `follow` has to run while it is open."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._declare_topic()
                await self._consumer.start()
                await self._producer.start()
                self._consumer.assign([self._partition])
                end = (await self._consumer.end_offsets([self._partition]))[self._partition]
                await self._read_to(end)
                await self._read_to(await self._acknowledge() + 1)
            yield self
            await self._leave(self._process)
        finally:
            await self._consumer.stop()
            await self._producer.stop()

    async def follow(self) -> None:
        """For ever: take what comes and acknowledge it."""
        known = self._version
        while True:
            try:
                await self._read()
                if known != self._version or self._process not in self._followers:
                    await self._acknowledge()
                    known = self._version
            except (KafkaError, OSError) as error:
                log.warning("clock_waits", error=type(error).__name__)
                await self._clock.pause(RETRY_SECONDS)

    async def move_to(self, moment: datetime) -> None:
        """Make it `moment` everywhere. Raises `TimeCannotGoBack`, or `NotAcknowledged` when somebody did not answer."""
        offset = moment - self._clock.real()
        if offset < self._clock.offset:
            raise TimeCannotGoBack
        version = await self._send(OFFSET_KEY, {"seconds": offset.total_seconds()})
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: not self._behind(version))
        except TimeoutError:
            late = self._behind(version)
            for process in late:  # who still lives puts itself on the list again
                await self._leave(process)
            raise NotAcknowledged(late) from None

    def _behind(self, version: int) -> list[str]:
        """We are among them until we have read our own move: then we have also read of everybody who follows since before it."""
        known = {**self._followers, self._process: self._version}
        return sorted(process for process, its in known.items() if its < version)

    async def _read_to(self, end: int) -> None:
        while await self._consumer.position(self._partition) < end:
            await self._read()

    async def _read(self) -> None:
        found = await self._consumer.getmany(self._partition, timeout_ms=FETCH_WAIT_MS)
        records = found.get(self._partition, [])
        async with self._changed:
            for record in records:
                self._take(record)
            if records:
                self._changed.notify_all()

    def _take(self, record: ConsumerRecord) -> None:
        key = record.key.decode()
        said = None if record.value is None else json.loads(record.value)
        if key == OFFSET_KEY and said is not None:
            self._clock.offset, self._version = timedelta(seconds=said["seconds"]), record.offset
        elif said is None:
            self._followers.pop(key.removeprefix(FOLLOWER), None)
        else:
            self._followers[key.removeprefix(FOLLOWER)] = said["version"]

    async def _acknowledge(self) -> int:
        return await self._send(FOLLOWER + self._process, {"version": self._version})

    async def _leave(self, process: str) -> None:
        await self._send(FOLLOWER + process, None)

    async def _send(self, key: str, content: dict[str, object] | None) -> int:
        value = None if content is None else json.dumps(content).encode()
        sent = await self._producer.send_and_wait(self._partition.topic, value, key.encode(), partition=0)
        return int(sent.offset)

    async def _declare_topic(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap, **kafka_security(self._settings))
        try:
            await admin.start()
            if self._partition.topic not in await admin.list_topics():
                configs = {"cleanup.policy": "compact", "min.insync.replicas": str(self._settings.topic_min_insync)}
                topic = NewTopic(self._partition.topic, 1, self._settings.topic_replication, topic_configs=configs)
                answer = await admin.create_topics([topic])
                for _, code, *_ in answer.topic_errors:
                    if code and for_code(code) is not TopicAlreadyExistsError:
                        raise for_code(code)()
        finally:
            await admin.close()
