"""Several processes of one service read as one group: who has what, and what happens to a handler that is at work meanwhile."""

import pytest

from shared.runtime.transport import NotDone, Partition, Record
from tests.contract.broker import Broker, Handler, crash, numbered, until

pytestmark = pytest.mark.kafka


async def test_two_processes_share_the_partitions_and_each_record_is_read_once(broker: Broker) -> None:
    topic, first, second = await broker.topic(6), Handler(), Handler()
    await broker.reader(topic, first, "1")
    await broker.reader(topic, second, "2")
    await until(lambda: len(first.partitions) == len(second.partitions) == 3, "each has half")
    for number in range(6):
        await broker.write(topic, numbered(20, first=20 * number), number)
    await until(lambda: len(first.done) + len(second.done) == 120, "all is read")
    assert sorted(map(_number, first.done + second.done)) == list(range(120))
    assert {record.partition.number for record in first.done} == first.partitions
    assert first.partitions | second.partitions == set(range(6))


async def test_more_processes_than_partitions_are_healthy_and_ready(broker: Broker) -> None:
    topic, first, second = await broker.topic(), Handler(), Handler()
    processes = [await broker.reader(topic, first, "1"), await broker.reader(topic, second, "2")]
    await until(lambda: sorted(map(len, (first.partitions, second.partitions))) == [0, 1], "one has nothing to do")
    await until(lambda: all(process.assigned() for process in processes), "both are ready")
    assert [process.unhealthy() for process in processes] == [None, None]


async def test_a_record_at_work_in_a_rebalance_may_run_twice_and_is_committed_all_the_same(broker: Broker) -> None:
    topic, first, second = await broker.topic(2), Handler(), Handler()
    first.gate.clear()
    for number in range(2):
        await broker.write(topic, numbered(1, first=number), number)
    await broker.reader(topic, first, "1")
    await until(lambda: len(first.given) == 1 and len(first.given[0]) == 2, "the first process is at work on both")
    await broker.reader(topic, second, "2")
    await until(lambda: len(second.done) == 1, "the second process runs one of them as well")
    await until(lambda: len(first.partitions) == 1, "the first process has lost it")
    first.gate.set()
    await until(lambda: len(first.done) >= 2, "the first process ends its work")
    await until(lambda: broker.has_committed({0: 1, 1: 1}), "everything is committed")
    for number in range(2):
        await broker.write(topic, [b"2"], number)
    await until(lambda: broker.has_committed({0: 2, 1: 2}), "both go on")
    assert {record.partition.number for record in second.done} == second.partitions


async def test_a_failure_that_a_rebalance_overtook_does_not_skip_what_is_to_be_replayed(broker: Broker) -> None:
    topic, first, second = await broker.topic(2), Handler(), Handler()
    for number in range(2):
        await broker.write(topic, numbered(5), number)
    await broker.reader(topic, first, "1")
    await until(lambda: broker.has_committed({0: 5, 1: 5}), "five of each are committed")
    first.gate.clear()
    given = len(first.given)
    for number in range(2):
        await broker.write(topic, [b"at work"], number)
    await until(lambda: len(first.given) > given, "the first process is at work on what came then")
    first.starts = second.starts = {Partition(topic, 0): 3, Partition(topic, 1): 3}  # a database that lost two of each
    first.done.clear()
    await broker.reader(topic, second, "2")
    await until(lambda: len(second.assignments) == 1 and len(first.assignments) == 2, "both know where to start")
    failures = [NotDone()]
    first.fails = lambda _: failures.pop() if failures else None
    first.gate.set()
    await until(lambda: broker.has_committed({0: 6, 1: 6}), "everything is committed again")
    assert {(record.partition.number, record.offset) for record in first.done + second.done} == {
        (number, offset) for number in range(2) for offset in (3, 4, 5)
    }
    assert failures == []


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize("replica", ["1", "2"], ids=["leader", "follower"])
async def test_a_process_that_comes_back_soon_takes_up_its_partitions_without_disturbing_the_other(
    broker: Broker, replica: str, end: str
) -> None:
    topic, handlers = await broker.topic(4), {"1": Handler(), "2": Handler()}
    processes = {name: await broker.reader(topic, handler, name) for name, handler in handlers.items()}
    await until(lambda: all(len(handler.partitions) == 2 for handler in handlers.values()), "each has half")
    other = next(handler for name, handler in handlers.items() if name != replica)
    assignments = len(other.assignments)
    await (crash(processes[replica]) if end == "killed" else processes[replica].stop_consuming())
    for number in range(4):
        await broker.write(topic, numbered(1), number)
    back = Handler()
    await broker.reader(topic, back, replica)
    await until(lambda: len(back.done) == len(other.done) == 2, "each reads its own")
    assert {record.partition.number for record in back.done} == handlers[replica].partitions
    assert len(other.assignments) == assignments


def _number(record: Record) -> int:
    return int(record.value or b"-1")
