"""The wire port over Kafka: with `kafka_reader.py` and `kafka_records.py` the only place that knows FastStream and aiokafka, so that
either can be replaced here.

FastStream reads; its defaults lose messages, so every option that keeps them is passed explicitly. Parsing is ours and never raises:
FastStream skips what its own parser cannot read. Sending is aiokafka's producer itself: FastStream's `publish` adds headers, can't
carry bytes in them, costs more than twice the time, and can't be closed without waiting for a broker that is away.
What is relied on is pinned by `tests/contract`, so that an upgrade that changes it fails.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, ProducerClosed, TopicAlreadyExistsError, for_code
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from shared.contracts.topics import TOPICS
from shared.runtime import kafka_records
from shared.runtime.clock import Clock
from shared.runtime.kafka_reader import Patience, Reader
from shared.runtime.security import broker_security, kafka_security
from shared.runtime.settings import Settings
from shared.runtime.transport import OnAssigned, OnBatch, Outgoing, SendFailed

POLL_MAX_MS = 300_000
METADATA_AGE_MS = 30_000
SEND_REQUEST_MS = 20_000
REQUEST_BYTES_MAX = 4_000_000
PARTITION_BYTES_MAX = 4 * 1024 * 1024
"""The client asks a partition for more only when nothing of it is left: one hot account would wait for the broker after each batch."""
KNOWN_SECONDS, KNOWN_PAUSE_SECONDS = 30.0, 0.02
ASK_SECONDS = 3.0
"""How long the cluster may take to answer a question about itself, before it counts as away."""

kafka_records.install()


class KafkaTransport:
    """One process's consumers and its producer."""

    def __init__(self, settings: Settings, service: str, clock: Clock, patience: Patience | None = None) -> None:
        self._settings = settings
        self._name = f"{service}-{settings.replica}" if settings.replica else service
        self._clock = clock
        self._patience = patience or Patience()
        self._sender: AIOKafkaProducer | None = None
        self._readers: list[Reader] = []
        self._asker: AIOKafkaClient | None = None
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
        reader = Reader(group, on_batch, on_assigned, self._clock, self._patience, self._settings.batch_max)
        subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            group_instance_id=f"{group}-{replica}" if (replica := self._settings.replica) else None,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
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
        await self._close_sender()
        await self._close_asker()

    async def _close_sender(self) -> None:
        if self._sender is not None:
            sender, self._sender = self._sender, None
            await _abandon(sender)

    async def send(self, records: Sequence[Outgoing]) -> None:
        """A failed send has an unknown outcome; the producer is then closed and a new one made for the repeat.

        How many of the first records were confirmed all the same is told with the failure: those need not go again.
        """
        confirmations: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._patience.send_seconds):
                sender = self._sender or await self._new_sender()
                for record in records:
                    headers = list(record.headers)
                    confirmations.append(await sender.send(record.topic, record.value, record.key, headers=headers))
                await asyncio.gather(*confirmations)
        except (KafkaError, OSError, TimeoutError) as error:
            failed = SendFailed(type(error).__name__)
            failed.confirmed = _confirmed(confirmations)
            await self._close_sender()
            raise failed from error
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
            await self._close_sender()
            raise
        return self._sender

    # health

    async def reachable(self) -> bool:
        """Whether the cluster answers, and the brokers that lead what we read: asked anew, and answered in time."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                if self._asker is None:
                    self._asker = AIOKafkaClient(
                        bootstrap_servers=self._settings.kafka_bootstrap,
                        client_id=f"{self._name}-asks",
                        **kafka_security(self._settings),
                    )
                    await self._asker.bootstrap()
                await self._asker.fetch_all_metadata()
                for reader in self._readers:
                    await reader.look_at_ends()
        except (KafkaError, OSError, TimeoutError):
            await self._close_asker()
            return False
        return True

    async def _close_asker(self) -> None:
        if self._asker is not None:
            asker, self._asker = self._asker, None
            await asker.close()

    def unhealthy(self, possible_since: float = 0.0) -> str | None:
        return next((text for reader in self._readers if (text := reader.unhealthy(possible_since)) is not None), None)

    def broken(self, possible_since: float = 0.0) -> str | None:
        return next((text for reader in self._readers if (text := reader.broken(possible_since)) is not None), None)

    def assigned(self) -> bool:
        return all(reader.assigned for reader in self._readers)

    def lag(self) -> Mapping[tuple[str, str], int]:
        """By consumer and topic: how many records are not settled, of those partitions that are ours."""
        lag: Counter[tuple[str, str]] = Counter()
        for reader in self._readers:
            for topic, count in reader.lag():
                lag[reader.group, topic] += count
        return lag


def _confirmed(confirmations: Sequence["asyncio.Future[Any]"]) -> int:
    """How many of the first are confirmed: what lies behind one that is not goes again with it, to keep the order."""
    for count, one in enumerate(confirmations):
        if not one.done() or one.cancelled() or one.exception() is not None:
            return count
    return len(confirmations)


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
