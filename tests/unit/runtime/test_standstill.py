"""A consumer that works carefully through one partition fetches no other meanwhile; that is no reason to end its process."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition

from shared.runtime import kafka_reader
from shared.runtime.clock import VirtualClock
from shared.runtime.kafka_reader import Patience, Reader, _Place
from shared.runtime.progress import STANDSTILL_SECONDS, Progress
from shared.runtime.transport import Assigned, Partition, Record

BUSY, WAITING = TopicPartition("billing.events", 4), TopicPartition("billing.events", 2)


async def on_batch(records: Sequence[Record]) -> None: ...


async def on_assigned(assigned: Sequence[Assigned]) -> Mapping[Partition, int]:
    return {one.partition: 0 for one in assigned}


@pytest.mark.parametrize(("in_work", "seconds", "hopeless"), [(True, 90, 0), (False, 90, 2), (True, 301, 2)])
def test_a_partition_that_waits_for_another_is_told_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, in_work: bool, seconds: float, hopeless: int
) -> None:
    monkeypatch.setattr(kafka_reader, "_behind", lambda *_: True)
    clock = VirtualClock(datetime(2026, 3, 10, tzinfo=UTC))
    reader = Reader("ledger", on_batch, on_assigned, clock, Patience(), 100)
    for part in (BUSY, WAITING):
        reader._places[part] = _Place(Progress(clock.monotonic), next=1, done=1, end=9, starting=False)
    reader._places[BUSY].in_work = in_work
    clock.advance(seconds)
    assert seconds > STANDSTILL_SECONDS
    assert len(list(reader._standing(0.0, hopeless=True))) == hopeless
    assert len(list(reader._standing(0.0))) == 2, "whoever asks is told"
