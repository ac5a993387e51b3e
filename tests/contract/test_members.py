"""Processes without a name of their own are members of one group all the same: none fences another."""

import pytest

from tests.contract.broker import Broker, Handler, numbered, until

pytestmark = pytest.mark.kafka


async def test_two_processes_without_a_name_share_the_partitions_and_both_stay(broker: Broker) -> None:
    topic, first, second = await broker.topic(4), Handler(), Handler()
    assert broker.settings("").replica == type(broker.settings()).model_fields["replica"].default
    processes = [await broker.reader(topic, handler, "") for handler in (first, second)]
    await until(lambda: len(first.partitions) == len(second.partitions) == 2, "each has half")
    for number in range(4):
        await broker.write(topic, numbered(5, first=5 * number), number)
    await until(lambda: len(first.done) + len(second.done) == 20, "all is read")
    assert [process.unhealthy() for process in processes] == [None, None]
    assert [process.broken() for process in processes] == [None, None]
