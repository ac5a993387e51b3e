"""A consumer that will not recover by itself must be seen, and a healthy one left alone: aiokafka looks alive either way."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.runtime.kafka import HEARTBEAT_LOST, STANDSTILL, KafkaTransport
from tests.contract.broker import Ahead, Broker, Handler, numbered, until

pytestmark = pytest.mark.kafka

A_SECOND = timedelta(seconds=1)


def consumer_of(transport: KafkaTransport) -> AIOKafkaConsumer:
    (reader,) = transport._readers
    return reader.consumer()


async def test_a_consumer_with_nothing_to_read_stays_healthy_for_ever(broker: Broker) -> None:
    topic, handler, clock = await broker.topic(), Handler(), Ahead()
    await broker.write(topic, numbered(3))
    process = await broker.reader(topic, handler, clock=clock)
    await until(lambda: broker.has_committed({0: 3}), "all is read")
    for _ in range(3):
        assert process.unhealthy() is None
        clock.ahead += timedelta(hours=1)
    assert process.unhealthy() is None


async def test_a_start_that_is_refused_is_told_and_nothing_is_read(broker: Broker) -> None:
    topic, refused, other = await broker.topic(), Handler(), Handler()

    async def refuse() -> None:
        raise LookupError("the log has shrunk")

    refused.before_start = refuse
    await broker.write(topic, numbered(3))
    process = await broker.reader(topic, refused)
    await broker.reader(topic, other, group="meanwhile")
    await until(process.unhealthy, "it is told")
    await until(lambda: len(other.done) == 3, "somebody else reads it all")
    assert process.unhealthy() == "reading cannot start: LookupError: the log has shrunk"
    assert not process.assigned()
    assert refused.given == []
    assert await broker.committed() == {}


async def test_a_heartbeat_that_ended_is_told_after_a_while(broker: Broker) -> None:
    topic, clock = await broker.topic(), Ahead()
    process = await broker.reader(topic, Handler(), clock=clock)
    await until(process.assigned, "it is a member")
    beat = consumer_of(process)._coordinator._heartbeat_task
    beat.cancel()
    await asyncio.wait([beat])
    assert process.unhealthy() is None
    clock.ahead += HEARTBEAT_LOST
    await until(process.unhealthy, "it is told")
    assert process.unhealthy() == "a consumer's heartbeat has stopped"


@pytest.mark.parametrize("task", ["_coordination_task", "_fetch_task"])
async def test_a_task_that_ended_is_told_at_once(broker: Broker, task: str) -> None:
    topic = await broker.topic()
    process = await broker.reader(topic, Handler())
    await until(process.assigned, "it is a member")
    consumer = consumer_of(process)
    ended = getattr(consumer._coordinator if task == "_coordination_task" else consumer._fetcher, task)
    ended.cancel()
    await asyncio.wait([ended])
    assert process.unhealthy() == "a consumer's task has ended"


async def test_a_standstill_is_told_and_forgotten_when_reading_goes_on(broker: Broker) -> None:
    topic, handler, clock = await broker.topic(), Handler(), Ahead()
    process = await broker.reader(topic, handler, clock=clock)
    await until(process.assigned, "it is a member")
    handler.gate.clear()
    await broker.write(topic, numbered(1))
    await until(lambda: handler.given, "the handler is stuck")
    await broker.write(topic, numbered(1))
    await until(lambda: _is_behind(process, topic), "there is more to read")
    assert process.unhealthy() is None
    clock.ahead += STANDSTILL + A_SECOND
    assert process.unhealthy() == "a consumer has records to read and has read none"
    handler.gate.set()
    await until(lambda: len(handler.done) == 2, "reading goes on")
    await until(lambda: process.unhealthy() is None, "all is well")


def _is_behind(process: KafkaTransport, topic: str) -> bool:
    return (consumer_of(process).highwater(TopicPartition(topic, 0)) or 0) > 1


async def test_the_inside_of_aiokafka_is_where_we_look_for_it(broker: Broker) -> None:
    """An upgrade that moves one of these must fail here, not leave a watchdog blind or a producer half closed."""
    topic, handler = await broker.topic(), Handler()
    await broker.write(topic, numbered(2))
    process = await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 2, "all is read")
    consumer = consumer_of(process)
    for task in (
        consumer._coordinator._heartbeat_task,
        consumer._coordinator._coordination_task,
        consumer._fetcher._fetch_task,
    ):
        assert isinstance(task, asyncio.Task)
        assert not task.done()
    part = TopicPartition(topic, 0)
    position = consumer._subscription.subscription.assignment.state_value(part)
    assert (position.has_valid_position, position.position, consumer.highwater(part)) == (True, 2, 2)
    await _producer_is_known(broker, topic)


async def _producer_is_known(broker: Broker, topic: str) -> None:
    sender = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    assert sender._sender.sender_task is None
    await sender.start()
    await sender.send_and_wait(topic, b"")
    assert isinstance(sender._sender.sender_task, asyncio.Task)
    connections = list(sender.client._conns.values())
    assert connections
    for connection in connections:
        assert connection.connected()
        assert isinstance(connection._writer.transport, asyncio.Transport)
    assert sender.client._md_update_fut is None
    assert callable(sender._message_accumulator.fail_all)
    await sender.stop()
