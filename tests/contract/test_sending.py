"""What becomes of records we send: order, keys, bytes, and an honest `SendFailed`."""

from collections import defaultdict
from dataclasses import replace

import pytest

from shared.runtime.transport import Outgoing, SendFailed
from tests.contract.broker import HURRIED, Broker, numbered, outgoing

pytestmark = pytest.mark.kafka

PARTITIONS, KEYS = 6, 20


async def test_records_of_one_key_keep_their_order_in_one_partition(broker: Broker) -> None:
    topic = await broker.topic(PARTITIONS)
    records = [Outgoing(topic, b"%d" % (number % KEYS), b"%d" % number, ()) for number in range(1000)]
    await broker.transport().send(records)
    partitions, values = defaultdict(set), defaultdict(list)
    for record in await broker.log(topic, PARTITIONS):
        partitions[record.key].add(record.partition.number)
        values[record.key].append(int(record.value or b""))
    assert {key: len(found) for key, found in partitions.items()} == {b"%d" % key: 1 for key in range(KEYS)}
    assert dict(values) == {b"%d" % key: list(range(key, 1000, KEYS)) for key in range(KEYS)}
    assert len(set.union(*partitions.values())) > 1


async def test_a_key_chooses_the_partition_that_kafkas_own_client_would_choose(broker: Broker) -> None:
    """Upstream systems send with that client, and an account's records must meet. The hashes stand in its unit tests."""
    topic, hashes = await broker.topic(PARTITIONS), {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107}
    await broker.transport().send([Outgoing(topic, key, b"", ()) for key in hashes])
    found = {record.key: record.partition.number for record in await broker.log(topic, PARTITIONS)}
    assert found == {key: (number & 0x7FFFFFFF) % PARTITIONS for key, number in hashes.items()}


async def test_a_record_arrives_as_it_was_handed_over(broker: Broker) -> None:
    topic = await broker.topic()
    headers = (("ce_id", b"1"), ("ce_id", b"2"), ("odd", b"\xff"), ("none", None))
    await broker.transport().send([Outgoing(topic, b"\xfe", b"\xff", headers)])
    (record,) = await broker.log(topic)
    assert (record.key, record.value, record.headers) == (b"\xfe", b"\xff", headers)


async def test_sending_returns_only_when_every_record_is_kept(broker: Broker) -> None:
    topic, transport = await broker.topic(), broker.transport()
    for count in range(1, 6):
        await transport.send(outgoing(topic, numbered(1)))
        assert len(await broker.log(topic)) == count


async def test_one_record_too_large_fails_its_send_and_the_next_goes_through(broker: Broker) -> None:
    topic, transport = await broker.topic(), broker.transport()
    with pytest.raises(SendFailed, match="MessageSizeTooLargeError"):
        await transport.send([*outgoing(topic, numbered(2)), Outgoing(topic, b"1", b"x" * 2_000_000, ())])
    with pytest.raises(SendFailed, match="MessageSizeTooLargeError"):
        await transport.send([*outgoing(topic, numbered(2)), Outgoing(topic, b"1", b"x" * 5_000_000, ())])
    await transport.send(outgoing(topic, [b"next"]))
    assert (await broker.log(topic))[-1].value == b"next"


async def test_a_topic_nobody_declared_is_not_made_by_sending_to_it(broker: Broker) -> None:
    transport = broker.transport(patience=replace(HURRIED, send_seconds=0.5))
    with pytest.raises(SendFailed):
        await transport.send(outgoing("nobody.declared-this", numbered(1)))
    assert "nobody.declared-this" not in await broker.admin.list_topics()
