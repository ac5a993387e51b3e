"""The broker goes away and comes back, as a crash or as a hang: nothing is lost, nothing is out of order, nobody needs a restart."""

import asyncio
import time

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.runtime.clock import Clock
from shared.runtime.kafka import KafkaTransport
from shared.runtime.transport import SendFailed
from tests.contract.broker import HURRIED, Broker, Handler, numbered, outgoing, until
from tests.support.frozen import frozen
from tests.support.servers import KafkaCluster

pytestmark = pytest.mark.kafka


async def test_readers_and_senders_survive_a_broker_that_dies_and_comes_back(
    own_kafka: KafkaCluster, own_broker: Broker
) -> None:
    topic, handler = await own_broker.topic(), Handler()
    reader, sender = await own_broker.reader(topic, handler), own_broker.transport("2")
    await sender.send(outgoing(topic, numbered(3)))
    await until(lambda: own_broker.has_committed({0: 3}), "the first records are read and committed")
    own_kafka.kill_node(1)
    began = time.monotonic()
    with pytest.raises(SendFailed):
        await sender.send(outgoing(topic, numbered(100, first=3)))
    assert time.monotonic() - began < 2 * HURRIED.send_seconds
    await _start(own_kafka)
    await _send_again(sender, topic, numbered(100, first=3))
    await until(lambda: len(handler.done) >= 103, "everything is read")
    assert [record.value for record in await own_broker.log(topic)] == numbered(103), "each once and in order"
    assert handler.values == numbered(103)
    await until(lambda: own_broker.has_committed({0: 103}), "and committed")
    assert reader.unhealthy() is None


async def test_a_broker_that_hangs_fails_the_send_in_time_and_gets_the_records_when_it_wakes(
    own_kafka: KafkaCluster, own_broker: Broker
) -> None:
    topic, sender = await own_broker.topic(), own_broker.transport()
    await sender.send(outgoing(topic, [b"before"]))
    (pid,) = own_kafka.pids.values()
    with frozen(pid):
        began = time.monotonic()
        with pytest.raises(SendFailed, match="TimeoutError"):
            await sender.send(outgoing(topic, numbered(10)))
        assert time.monotonic() - began < HURRIED.send_seconds + 1
    await _send_again(sender, topic, numbered(10))
    await sender.send(outgoing(topic, [b"after"]))
    kept = [record.value for record in await own_broker.log(topic)]
    assert kept[-11:] == [*numbered(10), b"after"], "the unknown outcome of the first try lies before its repeat"
    assert set(kept) == {b"before", *numbered(10), b"after"}


async def test_a_process_that_finds_no_broker_at_its_start_ends_at_once(
    unused_tcp_port: int, own_broker: Broker
) -> None:
    settings = own_broker.settings().model_copy(update={"kafka_bootstrap": f"127.0.0.1:{unused_tcp_port}"})
    transport, handler = KafkaTransport(settings, "nobody", Clock(), HURRIED), Handler()
    transport.consume("group", ["topic"], handler.on_batch, handler.on_assigned)
    with pytest.raises(KafkaConnectionError):
        await transport.start()
    with pytest.raises(SendFailed, match="KafkaConnectionError"):
        await transport.send(outgoing("topic", numbered(1)))
    await transport.stop()


async def _start(cluster: KafkaCluster) -> None:
    """A broker dies with the thread that starts it, so only the waiting may happen elsewhere."""
    assert cluster.running is not None
    cluster.running.launch_node(1)
    await asyncio.to_thread(cluster.running.await_ready)


async def _send_again(sender: KafkaTransport, topic: str, values: list[bytes]) -> None:
    """As the relay does: until it works."""

    async def sent() -> bool:
        try:
            await sender.send(outgoing(topic, values))
        except SendFailed:
            return False
        return True

    await until(sent, "the records go through")
