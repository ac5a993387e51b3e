"""Records of a Kafka transaction that was aborted never happened; those of one that is still open have not happened yet."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from shared.runtime import kafka
from shared.runtime.progress import STANDSTILL_SECONDS
from tests.contract.broker import Ahead, Broker, Handler, numbered, until

pytestmark = pytest.mark.kafka


ROOT = Path(kafka.__file__).parents[2]


def test_every_consumer_reads_committed_transactions_only() -> None:
    """The example for finance and the consumers of tests are not ours to be wrong with."""
    found = []
    for folder in ("shared", "services", "deploy/verify"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("AIOKafkaConsumer", ".subscriber")):
                    options = {one.arg: ast.unparse(one.value) for one in node.keywords}
                    found.append((path.name, options.get("isolation_level")))
    assert {name for name, _ in found} == {"kafka.py", "shared_clock.py", "world.py"}
    assert {level for _, level in found} == {"'read_committed'"}


@pytest.fixture
async def writer(broker: Broker) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=broker.name)
    await producer.start()
    broker.stack.push_async_callback(producer.stop)
    return producer


async def test_what_was_aborted_is_never_read_and_what_was_committed_is(
    broker: Broker, writer: AIOKafkaProducer
) -> None:
    topic, handler = await broker.topic(), Handler()
    await broker.write(topic, [b"before"])
    for value in (b"aborted", b"committed"):
        await writer.begin_transaction()
        await writer.send_and_wait(topic, value, partition=0)
        await (writer.abort_transaction() if value == b"aborted" else writer.commit_transaction())
    await broker.write(topic, [b"after"])
    process = await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 3, "all that happened is read")
    assert handler.values == [b"before", b"committed", b"after"]
    assert process.unhealthy() is None, "offsets without a record are no gap"


async def test_what_an_open_transaction_holds_back_is_no_standstill(broker: Broker, writer: AIOKafkaProducer) -> None:
    topic, handler, clock = await broker.topic(), Handler(), Ahead()
    process = await broker.reader(topic, handler, clock=clock)
    await broker.write(topic, numbered(2))
    await until(lambda: len(handler.done) == 2, "what lies before it is read")
    await writer.begin_transaction()
    await writer.send_and_wait(topic, b"open", partition=0)
    await broker.write(topic, [b"behind"])
    assert await process.reachable()
    for _ in range(3):
        assert process.unhealthy() is None
        clock.ahead += timedelta(seconds=STANDSTILL_SECONDS)
    await writer.commit_transaction()
    await until(lambda: len(handler.done) == 4, "then both are read")
    assert handler.values[2:] == [b"open", b"behind"]
