"""What FastStream and aiokafka are told: every default that would lose messages is replaced, and arrives where it counts."""

import asyncio

import pytest
import uvloop
from faststream import AckPolicy
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.runtime.kafka import KafkaTransport
from shared.runtime.kafka_reader import Patience
from tests.contract.broker import Broker, Handler, broker_on, numbered, outgoing, until
from tests.support.servers import KafkaCluster

pytestmark = pytest.mark.kafka


def subscriber_of(transport: KafkaTransport) -> BatchSubscriber:
    (subscriber,) = transport._broker.subscribers
    assert isinstance(subscriber, BatchSubscriber)
    return subscriber


async def test_the_reader_is_told_everything_that_keeps_messages(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    transport = await broker.reader(topic, handler, "7", patience=Patience())
    subscriber = subscriber_of(transport)
    assert subscriber.ack_policy is AckPolicy.NACK_ON_ERROR
    assert subscriber._no_reply is True
    assert subscriber._outer_config.graceful_timeout == 8
    assert subscriber._outer_config.allow_auto_create_topics is False
    assert subscriber._outer_config.consumer_only is True
    consumer = subscriber.consumer
    assert consumer is not None
    coordinator = consumer._coordinator
    assert consumer._enable_auto_commit is False
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._isolation_level == "read_committed"
    assert consumer._max_partition_fetch_bytes == 4 * 1024 * 1024
    assert (coordinator.group_id, coordinator._group_instance_id) == (broker.group(), f"{broker.group()}-7")
    assert (coordinator._session_timeout_ms, coordinator._heartbeat_interval_ms) == (30_000, 5_000)
    assert coordinator._max_poll_interval == 300
    assert consumer._client._request_timeout_ms > coordinator._session_timeout_ms
    assert consumer._client._metadata_max_age_ms == 30_000


async def test_fetching_is_ours_and_nothing_is_validated_or_copied(broker: Broker) -> None:
    """FastStream's own fetch sleeps between looks, and typed arguments would be copies."""
    topic, handler = await broker.topic(), Handler()
    transport = await broker.reader(topic, handler)
    (reader,) = transport._readers
    subscriber = subscriber_of(transport)
    assert subscriber.get_msg == reader.fetch
    assert subscriber._outer_config.fd_config.use_fastdepends is False


async def test_the_sender_is_told_everything_that_keeps_messages(broker: Broker) -> None:
    topic, transport = await broker.topic(), broker.transport()
    await transport.send(outgoing(topic, numbered(1)))
    sender = transport._sender
    assert sender is not None
    assert sender._sender._acks == -1
    assert sender._txn_manager is not None, "idempotence"
    assert sender._txn_manager.transactional_id is None
    assert sender._message_accumulator._linger_time == 0
    assert (sender._request_timeout_ms, sender._max_request_size) == (20_000, 4_000_000)


def test_it_all_works_on_the_event_loop_of_production(kafka: KafkaCluster) -> None:
    async def there_and_back() -> list[bytes | None]:
        assert type(asyncio.get_running_loop()) is uvloop.Loop
        async with broker_on(kafka.bootstrap) as broker, broker.stack:
            topic, handler = await broker.topic(), Handler()
            transport = await broker.reader(topic, handler)
            await transport.send(outgoing(topic, numbered(100)))
            await until(lambda: len(handler.done) == 100, "all is read")
            await until(lambda: broker.has_committed({0: 100}), "and committed")
            return handler.values

    assert uvloop.run(there_and_back()) == numbered(100)
