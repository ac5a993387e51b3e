"""What a reader is given, when it comes again, and what is committed: the promises of FastStream and aiokafka that we build on."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from shared.runtime.transport import NotDone, Partition, Record
from tests.contract.broker import HURRIED, Broker, Handler, numbered, until

pytestmark = pytest.mark.kafka


async def test_a_new_reader_of_a_full_topic_starts_at_its_beginning(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    await broker.write(topic, numbered(50))
    await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 50, "all records are read")
    assert handler.values == numbered(50)
    await until(lambda: broker.has_committed({0: 50}), "the end is committed")


async def test_a_batch_that_is_not_done_comes_again_whole_from_every_partition(broker: Broker) -> None:
    topic, failed = await broker.topic(3), list[Sequence[Record]]()

    def fails(records: Sequence[Record]) -> Exception | None:
        if failed or len({record.partition for record in records}) == 1:
            return None
        failed.append(records)
        return NotDone()

    handler = Handler(fails=fails)
    for number in range(3):
        await broker.write(topic, numbered(5, first=5 * number), number)
    await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 15, "all records are done")
    assert failed
    assert sorted(handler.done, key=lambda record: (record.partition.number, record.offset)) == await broker.log(
        topic, 3
    )


@pytest.mark.parametrize(
    "problem", [NotDone(), ValueError("a bug that came through")], ids=lambda one: type(one).__name__
)
async def test_nothing_is_committed_past_a_failure_however_long_it_lasts(broker: Broker, problem: Exception) -> None:
    topic = await broker.topic()
    handler = Handler(fails=lambda records: problem if b"bad" in [record.value for record in records] else None)
    await broker.write(topic, numbered(3))
    await broker.reader(topic, handler)
    await until(lambda: broker.has_committed({0: 3}), "the good records are committed")
    began = time.monotonic()
    await broker.write(topic, [b"bad"])
    await until(lambda: len(handler.given) >= 3, "the bad record comes again")
    await broker.write(topic, [b"after"])
    await until(lambda: len(handler.given[-1]) == 2, "and again, with what was written behind it")
    assert await broker.committed() == {0: 3}
    assert time.monotonic() - began >= HURRIED.retry_seconds * 2, "a rewind has no pause of its own"
    handler.fails = lambda _: None
    await until(lambda: broker.has_committed({0: 5}), "all is committed in the end")
    assert handler.values == [*numbered(3), b"bad", b"after"]


async def test_a_batch_holds_no_more_than_it_may(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    await broker.write(topic, numbered(35))
    await broker.reader(topic, handler, batch_max=10)
    await until(lambda: len(handler.done) == 35, "all records are read")
    assert max(map(len, handler.given)) == 10


async def test_a_single_record_does_not_wait_for_a_batch_to_fill(broker: Broker) -> None:
    topic, handler, waits = await broker.topic(), Handler(), list[float]()
    await broker.reader(topic, handler)
    for count in range(1, 20):
        began = time.monotonic()
        await broker.write(topic, numbered(1))
        await until(lambda count=count: len(handler.done) == count, "the record is handled")  # type: ignore[misc]
        waits.append(time.monotonic() - began)
    assert sorted(waits)[len(waits) // 2] < 0.1


# what no parser may choke on


AWKWARD: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = {
    "null header": (b"k", b"{}", [("ce_id", None)]),
    "header that is not text": (b"k", b"{}", [("ce_id", b"\xff\xfe")]),
    "same header twice": (b"k", b"{}", [("ce_id", b"1"), ("ce_id", b"2")]),
    "null value": (b"k", None, []),
    "no key": (None, b"{}", []),
    "neither key nor value": (None, None, []),
    "empty key and value": (b"", b"", []),
    "not json": (b"k", b"{", [("content-type", b"application/json")]),
    "not text": (b"\xff", b"\xff\x00", [("content-type", b"text/plain")]),
    "as large as we read": (b"k", b"x" * 1_000_000, []),
}


async def test_whatever_a_record_holds_reaches_us_as_bytes_and_nothing_is_skipped(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    for key, value, headers in AWKWARD.values():
        batch = broker.producer.create_batch()  # unlike `send`, it lets a record without key and value pass
        assert batch.append(key=key, value=value, timestamp=None, headers=headers)
        await (await broker.producer.send_batch(batch, topic, partition=0))
    await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == len(AWKWARD), "all records are handled")
    told = [(record.key, record.value, list(record.headers)) for record in handler.done]
    assert told == list(AWKWARD.values())


async def test_nobody_is_answered_because_a_header_asks_for_it(broker: Broker) -> None:
    topic, elsewhere, handler = await broker.topic(), await broker.topic(), Handler()
    await broker.producer.send_and_wait(topic, b"{}", b"k", headers=[("reply_to", elsewhere.encode())])
    await broker.reader(topic, handler)
    await until(lambda: broker.has_committed({0: 1}), "the record is handled and committed")
    assert await broker.log(elsewhere) == []


# where reading starts


async def test_a_lower_offset_of_ours_replays_exactly_what_lies_above_it(broker: Broker) -> None:
    topic, first, second = await broker.topic(2), Handler(), Handler()
    for number in range(2):
        await broker.write(topic, numbered(10), number)
    process = await broker.reader(topic, first)
    await until(lambda: broker.has_committed({0: 10, 1: 10}), "all is committed")
    await process.stop_consuming()
    second.starts = {Partition(topic, 0): 7}
    await broker.reader(topic, second)
    await until(lambda: second.assignments, "it is asked where to start")
    assert {(one.partition.number, one.committed, one.end) for one in second.assignments[0]} == {
        (0, 10, 10),
        (1, 10, 10),
    }
    await broker.write(topic, [b"new"], 1)
    await until(lambda: len(second.done) == 4, "the replay and the new record are read")
    read = sorted((record.partition.number, record.offset) for record in second.done)
    assert read == [(0, 7), (0, 8), (0, 9), (1, 10)]


async def test_an_offset_the_broker_has_deleted_goes_on_at_the_oldest_it_has(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    await broker.write(topic, numbered(10))
    await broker.admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    handler.starts = {Partition(topic, 0): 2}
    await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 4, "what is left is read")
    assert [record.offset for record in handler.done] == [6, 7, 8, 9]


async def test_nothing_is_read_before_we_have_said_where_to_start(broker: Broker) -> None:
    topic, held, other, answer = await broker.topic(), Handler(), Handler(), asyncio.Event()

    async def wait() -> None:
        await answer.wait()

    held.before_start, held.starts = wait, {Partition(topic, 0): 8}
    await broker.write(topic, numbered(10))
    process = await broker.reader(topic, held)
    await broker.reader(topic, other, group="meanwhile")
    await until(lambda: len(other.done) == 10, "somebody else reads it all")
    assert held.given == []
    assert not process.assigned()
    answer.set()
    await until(lambda: len(held.done) == 2, "reading starts where we said")
    assert held.values == numbered(2, first=8)
    assert process.assigned()


async def test_reading_starts_when_the_database_that_knows_where_is_back(broker: Broker) -> None:
    topic, handler, away = await broker.topic(), Handler(), [OSError(), TimeoutError(), NotDone()]

    async def transient_error() -> None:
        if away:
            raise away.pop()

    handler.before_start = transient_error
    await broker.write(topic, numbered(3))
    process = await broker.reader(topic, handler)
    await until(lambda: len(handler.done) == 3, "all is read")
    assert process.unhealthy() is None


# a graceful end


async def test_a_stop_waits_for_the_handler_and_commits_what_it_did(broker: Broker) -> None:
    topic, handler = await broker.topic(), Handler()
    handler.gate.clear()
    await broker.write(topic, numbered(3))
    process = await broker.reader(topic, handler)
    await until(lambda: handler.given, "the handler is at work")
    stopping = asyncio.create_task(process.stop_consuming())
    await broker.write(topic, [b"too late"])
    await asyncio.sleep(0)
    assert not stopping.done()
    handler.gate.set()
    await stopping
    assert await broker.committed() == {0: len(handler.done)}
    assert handler.values == numbered(3)


async def test_a_handler_that_outlasts_our_patience_is_cut_off_and_its_records_come_again(broker: Broker) -> None:
    topic, stuck, next_one = await broker.topic(), Handler(), Handler()
    stuck.gate.clear()
    await broker.write(topic, numbered(3))
    process = await broker.reader(topic, stuck, patience=replace(HURRIED, handlers_seconds=0.2))
    await until(lambda: stuck.given, "the handler is at work")
    await process.stop_consuming()
    assert (stuck.done, await broker.committed()) == ([], {})
    await broker.reader(topic, next_one)
    await until(lambda: next_one.values == numbered(3), "the next process gets them")
