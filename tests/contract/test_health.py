"""A consumer that will not recover by itself must be seen, and a healthy one left alone: aiokafka looks alive either way."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from shared.runtime.kafka import ASK_SECONDS, KafkaTransport
from shared.runtime.kafka_reader import HEARTBEAT_LOST, HUNG_SECONDS
from shared.runtime.progress import STANDSTILL_SECONDS
from shared.runtime.transport import Assigned, NotDone, Partition
from tests.contract.broker import Ahead, Broker, Handler, numbered, until
from tests.support.frozen import frozen
from tests.support.servers import KafkaCluster

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
    assert process.unhealthy() == f"{topic}/0 is not read: reading cannot start: LookupError: the log has shrunk"
    assert process.broken() is None, "a new process would not read it either"
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
    assert process.unhealthy() == process.broken() == "a consumer's heartbeat has stopped"
    assert process.unhealthy(possible_since=clock.monotonic()) is None, "the broker was away all the time"


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
    clock.ahead += timedelta(seconds=STANDSTILL_SECONDS) + A_SECOND
    told = process.unhealthy()
    assert told is not None
    assert told.startswith(f"{topic}/0 stands still at offset ")
    assert told.endswith(" s: its records are in work")
    assert process.unhealthy(possible_since=clock.monotonic()) is None, "nothing could be done all the time"
    assert process.broken() is None, "it may take long"
    clock.ahead += timedelta(seconds=HUNG_SECONDS)
    assert process.broken() == process.unhealthy()
    handler.gate.set()
    await until(lambda: len(handler.done) == 2, "reading goes on")
    await until(lambda: process.unhealthy() is None, "all is well")


@pytest.mark.parametrize("problem", [KeyError("a bug"), NotDone()], ids=["bug", "handed back"])
async def test_a_partition_that_stands_still_is_named_although_others_go_on(broker: Broker, problem: Exception) -> None:
    topic, clock = await broker.topic(3), Ahead()
    handler = Handler(fails=lambda records: problem if b"bad" in [record.value for record in records] else None)
    for number in range(3):
        await broker.write(topic, numbered(2), number)
    process = await broker.reader(topic, handler, clock=clock)
    await until(lambda: len(handler.done) == 6, "all is read")
    await broker.write(topic, [b"bad"], 1)
    await until(lambda: any(batch[0].value == b"bad" for batch in handler.given), "it is met")
    for round_ in range(3):
        for number in (0, 2):
            await broker.write(topic, numbered(5), number)
        await until(lambda count=6 + 10 * (round_ + 1): len(handler.done) >= count, "the others go on")  # type: ignore[misc]
        clock.ahead += timedelta(seconds=STANDSTILL_SECONDS / 2)
    told = process.unhealthy()
    assert told is not None
    assert told.startswith(f"{topic}/1 stands still at offset 2 for ")
    assert told.endswith(f": {type(problem).__name__}")
    assert process.broken() is None, "its records would fail in a new process as well"
    assert await process.reachable()
    assert sum(process.lag().values()) == 1
    handler.fails = lambda _: None
    await until(lambda: broker.has_committed({0: 17, 1: 3, 2: 17}), "all is committed in the end")
    assert process.unhealthy() is None


async def test_one_partition_that_cannot_start_leaves_the_others_alone(broker: Broker) -> None:
    topic, handler = await broker.topic(3), OneGap()
    for number in range(3):
        await broker.write(topic, numbered(2), number)
    process = await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 4, "the others are read")
    assert {record.partition.number for record in handler.done} == {0, 2}
    assert process.unhealthy() == f"{topic}/1 is not read: reading cannot start: LookupError: the log has shrunk"
    assert (process.broken(), process.assigned()) == (None, True)


async def test_records_deleted_while_we_stand_before_them_are_not_passed_over(broker: Broker) -> None:
    topic, handler = await broker.topic(2), Handler()
    for number in range(2):
        await broker.write(topic, numbered(2), number)
    process = await broker.reader(topic, handler)
    await until(lambda: broker.has_committed({0: 2, 1: 2}), "all is read")
    handler.fails = lambda records: KeyError() if b"bad" in [record.value for record in records] else None
    await broker.write(topic, [b"bad", b"bad"], 1)
    await until(lambda: handler.given[-1][0].value == b"bad", "it is met")
    await broker.admin.delete_records({TopicPartition(topic, 1): RecordsToDelete(before_offset=4)})
    await broker.write(topic, [b"after"], 1)
    handler.fails = lambda _: None
    await until(lambda: "is not read" in (process.unhealthy() or ""), "it is told")
    assert (
        process.unhealthy()
        == f"{topic}/1 is not read: we stand at 2, and what lies before 4 was deleted before it was read"
    )
    await broker.write(topic, numbered(1), 0)
    await until(lambda: broker.has_committed({0: 3, 1: 2}), "the other goes on")


async def test_a_broker_that_does_not_answer_is_told_in_time_and_seen_again(
    own_kafka: KafkaCluster, own_broker: Broker
) -> None:
    topic = await own_broker.topic()
    process = await own_broker.reader(topic, Handler())
    assert await process.reachable()
    (pid,) = own_kafka.pids.values()
    with frozen(pid):
        began = time.monotonic()
        assert not await process.reachable()
        assert time.monotonic() - began < ASK_SECONDS + 1
    await until(process.reachable, "it answers again")


class OneGap(Handler):
    async def on_assigned(self, assigned: Sequence[Assigned]) -> dict[Partition, int]:
        if any(one.partition.number == 1 for one in assigned):
            raise LookupError("the log has shrunk")
        return await super().on_assigned(assigned)


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
