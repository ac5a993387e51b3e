"""The wire port over Kafka: the only file that knows FastStream and aiokafka, so that either can be replaced here.

FastStream's defaults lose messages; every option that keeps them is passed explicitly. Parsing is ours and never raises: FastStream
skips what its own parser cannot read. What is relied on is pinned by `tests/contract`, so that an upgrade that changes it fails.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from shared.contracts.topics import TOPICS
from shared.runtime.clock import Clock
from shared.runtime.settings import Settings
from shared.runtime.transport import Assigned, NotDone, OnAssigned, OnBatch, Outgoing, Partition, Record, SendFailed

GRACEFUL_SECONDS = 25.0
SESSION_TIMEOUT_MS = 30_000
HEARTBEAT_MS = 5_000
POLL_MAX_MS = 300_000
BATCH_WAIT_MS = 200
SEND_SECONDS = 30.0
STANDSTILL = timedelta(seconds=120)
HEARTBEAT_LOST = timedelta(seconds=30)

log = structlog.get_logger()


class KafkaTransport:
    """One process's consumers and its producer."""

    def __init__(self, settings: Settings, service: str, clock: Clock) -> None:
        self._settings = settings
        self._name = f"{service}-{settings.replica}"
        self._clock = clock
        self._broker = self._new_broker()
        self._sender: KafkaBroker | None = None
        self._readers: list[_Reader] = []

    def _new_broker(self) -> KafkaBroker:
        return KafkaBroker(
            self._settings.kafka_bootstrap.split(","),
            client_id=self._name,
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            graceful_timeout=GRACEFUL_SECONDS,
            linger_ms=0,
            request_timeout_ms=20_000,
            max_request_size=4_000_000,
            logger=None,  # its log would hold exception texts and keys
        )

    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        reader = _Reader(on_batch, on_assigned, self._clock)
        subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            max_records=self._settings.batch_max,
            batch_timeout_ms=BATCH_WAIT_MS,
            group_id=group,
            group_instance_id=f"{group}-{self._settings.replica}",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            auto_offset_reset="earliest",
            no_reply=True,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=POLL_MAX_MS,
            parser=reader.parse,
            decoder=reader.decode,
            listener=reader,
        )
        reader.consumer = lambda: subscriber.consumer
        subscriber(reader.handle)
        self._readers.append(reader)

    async def start(self) -> None:
        await self._broker.start()

    async def stop_consuming(self) -> None:
        await self._broker.stop()

    async def stop(self) -> None:
        if self._sender is not None:
            await self._sender.stop()

    async def send(self, records: Sequence[Outgoing]) -> None:
        """A cancelled or failed send has an unknown outcome; the producer is then closed and a new one made for the repeat."""
        if self._sender is None:
            sender = self._new_broker()
            await _or_send_failed(sender.start())
            self._sender = sender
        try:
            async with asyncio.timeout(SEND_SECONDS):
                confirmations = [await self._publish(self._sender, record) for record in records]
                await asyncio.gather(*confirmations)
        except (KafkaError, TimeoutError, OSError) as error:
            broken, self._sender = self._sender, None
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(SEND_SECONDS):
                    await broken.stop()
            raise SendFailed(type(error).__name__) from error

    @staticmethod
    async def _publish(sender: KafkaBroker, record: Outgoing) -> "asyncio.Future[Any]":
        headers = {name: (value or b"").decode() for name, value in record.headers}
        return await sender.publish(record.value, topic=record.topic, key=record.key, headers=headers, no_confirm=True)

    def unhealthy(self) -> str | None:
        return next((reason for reader in self._readers if (reason := reader.unhealthy()) is not None), None)

    def assigned(self) -> bool:
        return all(reader.assigned for reader in self._readers)


class _Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One subscriber: raw records in, our handler, our seeks."""

    def __init__(self, on_batch: OnBatch, on_assigned: OnAssigned, clock: Clock) -> None:
        self._on_batch = on_batch
        self._on_assigned = on_assigned
        self._clock = clock
        self.consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.assigned = False
        self._progress_at = clock.real()
        self._heartbeat_at = clock.real()

    async def parse(self, raw: tuple[ConsumerRecord, ...]) -> KafkaAckableMessage:
        return KafkaAckableMessage(body=b"", raw_message=raw, headers={}, consumer=self.consumer())

    async def decode(self, message: KafkaAckableMessage) -> Sequence[Record]:
        return [_record(raw) for raw in message.raw_message]

    async def handle(self, records: Any) -> None:  # noqa: ANN401 - an annotation would make FastStream validate and copy
        try:
            await self._on_batch(records)
        except NotDone:
            await self._clock.pause(1.0)  # a rewind has no pause of its own
            raise
        self._progress_at = self._clock.real()

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        pass

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        consumer = self.consumer()
        assert consumer is not None
        parts = sorted(assigned)
        ends = await consumer.end_offsets(parts) if parts else {}
        told = [
            Assigned(Partition(part.topic, part.partition), await consumer.committed(part), ends[part])
            for part in parts
        ]
        for partition, offset in (await self._on_assigned(told)).items():
            consumer.seek(KafkaPartition(partition.topic, partition.number), offset)
        self._progress_at = self._heartbeat_at = self._clock.real()
        self.assigned = True

    def unhealthy(self) -> str | None:
        """aiokafka gives up its heartbeat for good on errors it does not know and goes on looking alive: so look for ourselves."""
        consumer, now = self.consumer(), self._clock.real()
        if consumer is None or not self.assigned or not consumer.assignment():
            self._progress_at = self._heartbeat_at = now
            return None
        beat = getattr(getattr(consumer, "_coordinator", None), "_heartbeat_task", None)
        if beat is not None and not beat.done():
            self._heartbeat_at = now
        if now - self._heartbeat_at > HEARTBEAT_LOST:
            return "a consumer's heartbeat has stopped"
        if not any(_behind(consumer, part) for part in consumer.assignment()):
            self._progress_at = now
        if now - self._progress_at > STANDSTILL:
            return "a consumer has records to read and has read none"
        return None


def _behind(consumer: AIOKafkaConsumer, part: KafkaPartition) -> bool:
    end = consumer.highwater(part)
    position = consumer._subscription.subscription.assignment.state_value(part)  # noqa: SLF001 - `position()` may wait for ever
    return end is not None and position is not None and position.has_valid_position and position.position < end


def _record(raw: ConsumerRecord) -> Record:
    return Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, tuple(raw.headers))


async def _or_send_failed(work: Awaitable[object]) -> None:
    try:
        await work
    except (KafkaError, TimeoutError, OSError) as error:
        raise SendFailed(type(error).__name__) from error


async def declare_topics(settings: Settings) -> None:
    """Make the topics that are missing. An existing topic is left as its operators want it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [_new_topic(name, settings) for name in TOPICS if name not in existing]
        if missing:
            answer = await admin.create_topics(missing)
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)()
    finally:
        await admin.close()


def _new_topic(name: str, settings: Settings) -> NewTopic:
    return NewTopic(
        name,
        settings.topic_partitions,
        settings.topic_replication,
        topic_configs={
            "retention.ms": str(settings.topic_retention_days * 86_400_000),
            "min.insync.replicas": str(settings.topic_min_insync),
            "cleanup.policy": "delete",
            "unclean.leader.election.enable": "false",
            "compression.type": "producer",
        },
    )
