"""The wire port over Kafka: the only file that knows FastStream and aiokafka, so that either can be replaced here.

FastStream reads; its defaults lose messages, so every option that keeps them is passed explicitly. Parsing is ours and never raises:
FastStream skips what its own parser cannot read. Sending is aiokafka's producer itself: FastStream's `publish` adds headers, can't
carry bytes in them, costs more than twice the time, and can't be closed without waiting for a broker that is away.
What is relied on is pinned by `tests/contract`, so that an upgrade that changes it fails.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, ProducerClosed, TopicAlreadyExistsError, for_code
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from shared.contracts.topics import TOPICS
from shared.runtime.clock import Clock
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.security import broker_security, kafka_security
from shared.runtime.settings import Settings
from shared.runtime.transport import Assigned, NotDone, OnAssigned, OnBatch, Outgoing, Partition, Record, SendFailed

FETCH_WAIT_MS = 500
POLL_MAX_MS = 300_000
METADATA_AGE_MS = 30_000
SEND_REQUEST_MS = 20_000
REQUEST_BYTES_MAX = 4_000_000
PARTITION_BYTES_MAX = 4 * 1024 * 1024
"""The client asks a partition for more only when nothing of it is left: one hot account would wait for the broker after each batch."""
KNOWN_SECONDS, KNOWN_PAUSE_SECONDS = 30.0, 0.02
HEARTBEAT_LOST = timedelta(seconds=90)
"""Longer than a group waits for a member that died: meanwhile nobody in it has a heartbeat."""
STANDSTILL = timedelta(seconds=300)
"""Longer than one batch may take: its transient errors (a minute) and its records one by one (two)."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long to wait; tests are less patient."""

    session_ms: int = 30_000
    heartbeat_ms: int = 5_000
    handlers_seconds: float = 15.0  # of the 25 a process has to end; the rest is for its last answers
    send_seconds: float = 30.0
    retry_seconds: float = 1.0


class KafkaTransport:
    """One process's consumers and its producer."""

    def __init__(self, settings: Settings, service: str, clock: Clock, patience: Patience | None = None) -> None:
        self._settings = settings
        self._name = f"{service}-{settings.replica}"
        self._clock = clock
        self._patience = patience or Patience()
        self._sender: AIOKafkaProducer | None = None
        self._readers: list[_Reader] = []
        self._broker = KafkaBroker(
            settings.kafka_bootstrap.split(","),
            client_id=self._name,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=self._patience.handlers_seconds,
            request_timeout_ms=self._patience.session_ms + 10_000,  # joining waits until a dead member's session ends
            metadata_max_age_ms=METADATA_AGE_MS,
            apply_types=False,  # it would validate and copy every batch
            logger=None,  # its log would hold exception texts and keys
            security=broker_security(settings),
        )

    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        reader = _Reader(group, on_batch, on_assigned, self._clock, self._patience, self._settings.batch_max)
        subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            group_instance_id=f"{group}-{self._settings.replica}",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            auto_offset_reset="earliest",
            no_reply=True,
            session_timeout_ms=self._patience.session_ms,
            heartbeat_interval_ms=self._patience.heartbeat_ms,
            max_poll_interval_ms=POLL_MAX_MS,
            max_partition_fetch_bytes=PARTITION_BYTES_MAX,
            parser=reader.parse,
            decoder=reader.decode,
            listener=reader,
        )
        subscriber.get_msg = reader.fetch  # type: ignore[method-assign]
        reader.consumer = lambda: subscriber.consumer
        subscriber(reader.handle)
        self._readers.append(reader)

    async def start(self) -> None:
        try:
            await self._broker.start()
        except BaseException:
            await self.stop_consuming()
            raise

    async def stop_consuming(self) -> None:
        """Readers that look where to start end first: a connection they open after their client has closed is never closed."""
        for reader in self._readers:
            await reader.stop()
        await self._broker.stop()
        for reader in self._readers:
            await reader.stop()

    async def stop(self) -> None:
        """What is not confirmed by now stays unsent in the outbox."""
        if self._sender is not None:
            sender, self._sender = self._sender, None
            await _abandon(sender)

    async def send(self, records: Sequence[Outgoing]) -> None:
        """A failed send has an unknown outcome; the producer is then closed and a new one made for the repeat."""
        confirmations: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._patience.send_seconds):
                sender = self._sender or await self._new_sender()
                for record in records:
                    headers = list(record.headers)
                    confirmations.append(await sender.send(record.topic, record.value, record.key, headers=headers))
                await asyncio.gather(*confirmations)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise SendFailed(type(error).__name__) from error
        finally:
            for confirmation in confirmations:
                confirmation.cancel()
            await asyncio.gather(*confirmations, return_exceptions=True)

    async def _new_sender(self) -> AIOKafkaProducer:
        self._sender = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=self._name,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            request_timeout_ms=SEND_REQUEST_MS,
            max_request_size=REQUEST_BYTES_MAX,
            metadata_max_age_ms=METADATA_AGE_MS,
            **kafka_security(self._settings),
        )
        try:
            await self._sender.start()
        except BaseException:
            await self.stop()
            raise
        return self._sender

    def unhealthy(self) -> str | None:
        return next((reason for reader in self._readers if (reason := reader.unhealthy()) is not None), None)

    def assigned(self) -> bool:
        return all(reader.assigned for reader in self._readers)


async def _abandon(sender: AIOKafkaProducer) -> None:
    """Close without a flush: it could wait for ever, and what is sent late would arrive behind its own repeat.

    aiokafka has no such way, so this pulls the plug: nothing more is sent, and everything that waits for an answer gets one.
    """
    client, sending = sender.client, sender._sender.sender_task  # noqa: SLF001
    if sending is not None:
        sending.cancel()
    for connection in client._conns.values():  # noqa: SLF001
        if connection.connected():
            connection._writer.transport.abort()  # noqa: SLF001 - its close writes out what it holds, to whoever reads it
    await client.close()
    if sending is not None:
        client.force_metadata_update()  # requests that failed wait for it, and nobody will ever update it
        client._md_update_fut.set_result(False)  # noqa: SLF001
        await asyncio.wait([sending])
        sender._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await sender.stop()


class _Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One subscriber: raw records in, our handler, our seeks."""

    def __init__(
        self,
        group: str,
        on_batch: OnBatch,
        on_assigned: OnAssigned,
        clock: Clock,
        patience: Patience,
        batch_max: int,
    ) -> None:
        self._group = group
        self._on_batch = on_batch
        self._on_assigned = on_assigned
        self._clock = clock
        self._patience = patience
        self._batch_max = batch_max
        self.consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.assigned = False
        self._assignments = 0
        self._starting: asyncio.Task[None] | None = None
        self._broken: str | None = None
        self._progress_at = self._heartbeat_at = clock.real()

    # one batch

    async def fetch(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """In place of FastStream's, which after a wait in vain sleeps for as long again and lets new records wait."""
        found = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=self._batch_max)
        return tuple(chain.from_iterable(found.values()))

    async def parse(self, raw: tuple[ConsumerRecord, ...]) -> KafkaAckableMessage:
        return KafkaAckableMessage(body=b"", raw_message=raw, headers={}, consumer=self.consumer())

    async def decode(self, message: KafkaAckableMessage) -> Sequence[Record]:
        return [_record(raw) for raw in message.raw_message]

    async def handle(self, records: Sequence[Record]) -> None:
        assignments = self._assignments
        try:
            await self._on_batch(records)
        except Exception as error:  # whatever it was: a rewind has no pause of its own
            log.warning("batch_comes_again", group=self._group, error=type(error).__name__)
            await self._clock.pause(self._patience.retry_seconds)
            if assignments == self._assignments:
                raise
            return  # a rebalance has set every position anew: a rewind to this batch could skip what lies before it
        self._progress_at = self._clock.real()

    # assignment

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:  # noqa: ARG002
        await self.stop()

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        """Returns at once: the group has no heartbeat meanwhile. Nothing is read before it is known where to start."""
        consumer = self.consumer()
        assert consumer is not None
        consumer.pause(*assigned)
        self._assignments += 1
        self._starting = asyncio.create_task(self._start_reading(consumer, sorted(assigned)))

    async def _start_reading(self, consumer: AIOKafkaConsumer, parts: Sequence[KafkaPartition]) -> None:
        try:
            for partition, offset in (await self._starts(consumer, parts)).items():
                consumer.seek(KafkaPartition(partition.topic, partition.number), offset)
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and read on
            self._broken = f"reading cannot start: {type(error).__name__}: {error}"
            log.error("reading_cannot_start", group=self._group, error=type(error).__name__)
            return
        consumer.resume(*parts)
        self._progress_at = self._heartbeat_at = self._clock.real()
        self.assigned = True

    async def _starts(self, consumer: AIOKafkaConsumer, parts: Sequence[KafkaPartition]) -> Mapping[Partition, int]:
        while True:
            try:
                ends = await consumer.end_offsets(parts) if parts else {}
                begins = await consumer.beginning_offsets(parts) if parts else {}
                told = [
                    Assigned(_partition(part), await consumer.committed(part), ends[part], begins[part])
                    for part in parts
                ]
                return await self._on_assigned(told)
            except (NotDone, KafkaError, *TRANSIENT_ERRORS) as error:
                log.warning("reading_waits", group=self._group, error=type(error).__name__)
                await self._clock.pause(self._patience.retry_seconds)

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])

    # health

    def unhealthy(self) -> str | None:
        """aiokafka gives up its tasks for good on errors it does not know and goes on looking alive: so look for ourselves."""
        consumer, now = self.consumer(), self._clock.real()
        if self._broken is not None:
            return self._broken
        if consumer is None or not consumer.assignment():
            self._progress_at = self._heartbeat_at = now
            return None
        if _task_ended(consumer):
            return "a consumer's task has ended"
        if _has_heartbeat(consumer):
            self._heartbeat_at = now
        if now - self._heartbeat_at > HEARTBEAT_LOST:
            return "a consumer's heartbeat has stopped"
        if not any(_behind(consumer, part) for part in consumer.assignment()):
            self._progress_at = now
        if now - self._progress_at > STANDSTILL:
            return "a consumer has records to read and has read none"
        return None


def _task_ended(consumer: AIOKafkaConsumer) -> bool:
    coordination, fetch = consumer._coordinator._coordination_task, consumer._fetcher._fetch_task  # noqa: SLF001
    return bool(coordination.done() or fetch.done())


def _has_heartbeat(consumer: AIOKafkaConsumer) -> bool:
    beat = consumer._coordinator._heartbeat_task  # noqa: SLF001
    return beat is not None and not beat.done()


def _behind(consumer: AIOKafkaConsumer, part: KafkaPartition) -> bool:
    end = consumer.highwater(part)
    position = consumer._subscription.subscription.assignment.state_value(part)  # noqa: SLF001 - `position()` may wait for ever
    return end is not None and position is not None and position.has_valid_position and position.position < end


def _partition(part: KafkaPartition) -> Partition:
    return Partition(part.topic, part.partition)


def _record(raw: ConsumerRecord) -> Record:
    return Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, tuple(raw.headers))


async def declare_topics(settings: Settings) -> None:
    """Make the topics that are missing, and wait until the broker tells clients of them: it may learn of a new topic after the controller
    has said that it is made, and a consumer that comes between would not look again for half a minute. An existing topic is left as its
    operators want it.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_security(settings))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [_new_topic(name, settings) for name in TOPICS if name not in existing]
        if missing:
            answer = await admin.create_topics(missing)
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)()
        async with asyncio.timeout(KNOWN_SECONDS):
            await _known(admin)
    finally:
        await admin.close()


async def _known(admin: AIOKafkaAdminClient) -> None:
    while True:
        described = await admin.describe_topics(list(TOPICS))
        errors = [for_code(topic["error_code"]) for topic in described if topic["error_code"]]
        if not errors:
            return
        for error in errors:
            if not error.retriable:
                raise error
        await asyncio.sleep(KNOWN_PAUSE_SECONDS)


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
