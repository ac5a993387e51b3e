"""A header name that is not UTF-8 must not end a fetch, nor lose what was fetched beside it; and where aiokafka is changed for that."""

import struct

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.runtime.kafka_records import LosslessRecords
from tests.contract.broker import Broker, Handler, numbered, until

pytestmark = pytest.mark.kafka

CRC_AT, CRC_FROM = 17, 21
NAMES = [b"\xff\xfe", b"caf\xe9", b"\x00", b"", b"\xed\xa0\x80"]


def batch_with(name: bytes, compression: int = 0) -> bytes:
    """Three records, the second with a header of this name: built with a name of the same length, which is then overwritten."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 1 << 20)
    stand_in = "~" * len(name)
    for offset, headers in enumerate(([], [("ce_id", b"1"), (stand_in, b"v"), ("none", None)], [])):
        builder.append(offset, 1_700_000_000_000, b"key", b"value %d" % offset, headers)
    built = bytearray(builder.build())
    if name:
        built = built.replace(stand_in.encode(), name)
    struct.pack_into(">I", built, CRC_AT, calc_crc32c(bytes(built[CRC_FROM:])))
    return bytes(built)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_unpacked_and_gives_its_bytes_back(name: bytes) -> None:
    batches = LosslessRecords(batch_with(b"plain") + batch_with(name))
    found = []
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        found.append(list(batch))
    assert [[record.value for record in records] for records in found] == [[b"value 0", b"value 1", b"value 2"]] * 2
    (_, second, _) = found[1]
    names = [key.encode(errors="surrogateescape") for key, _ in second.headers]
    assert (names, [value for _, value in second.headers]) == ([b"ce_id", name, b"none"], [b"1", b"v", None])
    assert (second.offset, second.key, second.timestamp) == (1, b"key", 1_700_000_000_000)


def test_aiokafka_by_itself_still_cannot() -> None:
    """When it can, `kafka_records.py` may go."""
    with pytest.raises(Exception, match="utf-8"):
        list(MemoryRecords(batch_with(b"\xff\xfe")).next_batch())


def test_the_place_is_where_the_fetcher_makes_records() -> None:
    assert fetcher.MemoryRecords is LosslessRecords


async def test_such_a_record_arrives_and_so_does_all_around_it(broker: Broker) -> None:
    topic, handler = await broker.topic(3), Handler()
    for number in range(3):
        await broker.write(topic, numbered(3), number)
    await send_raw(broker, topic, 1, batch_with(b"\xff\xfe"))
    for number in range(3):
        await broker.write(topic, [b"after"], number)
    process = await broker.reader(topic, handler)
    await until(lambda: broker.has_committed({0: 4, 1: 7, 2: 4}), "all is read")
    assert len(handler.done) == 15
    (odd,) = [record for record in handler.done if record.value == b"value 1"]
    assert [name.encode(errors="surrogateescape") for name, _ in odd.headers] == [b"ce_id", b"\xff\xfe", b"none"]
    assert process.unhealthy() is None


async def test_whatever_a_fetch_raises_is_waited_out_and_loses_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of other partitions that were unpacked before are dropped by the client, and their positions have moved."""
    topic, handler, raised = await broker.topic(3), Handler(), list[str]()
    unpack = LosslessRecords.next_batch

    def next_batch(records: LosslessRecords) -> object:
        if b"bad" in records._data and len(raised) < 5:
            raised.append("")
            raise TypeError("a bug of the client")
        return unpack(records)

    monkeypatch.setattr(LosslessRecords, "next_batch", next_batch)
    for number in range(3):
        await broker.write(topic, [*numbered(3), b"bad"] if number == 1 else numbered(4), number)
    process = await broker.reader(topic, handler)
    (subscriber,) = process._broker.subscribers
    assert isinstance(subscriber, BatchSubscriber)
    tasks = len(subscriber.tasks)
    await until(lambda: broker.has_committed({0: 4, 1: 4, 2: 4}), "all is read")
    assert len(raised) == 5
    assert len(handler.done) == 12
    assert len(subscriber.tasks) == tasks, "nothing was respawned"


async def send_raw(broker: Broker, topic: str, partition: int, batch: bytes) -> None:
    """aiokafka's producer takes names as text only: the batch it is about to send is put in place of its own."""
    builder = broker.producer.create_batch()
    for _ in range(3):
        builder.append(key=b"key", value=b"x", timestamp=None)
    builder.close()
    builder._buffer = bytearray(batch)
    await (await broker.producer.send_batch(builder, topic, partition=partition))
