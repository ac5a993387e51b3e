"""One consumer of one process: raw records in, our handler, our seeks; and what each of its partitions is doing.

A partition whose records fail rests and then runs alone, so that it holds up no other. One whose log does not have the place where we
stand is not read at all, and says so. Whatever the client raises while it fetches is waited out, and no record is skipped by it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream.kafka.message import KafkaAckableMessage

from shared.runtime.clock import Clock
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.progress import STANDSTILL_SECONDS, Progress, tells
from shared.runtime.transport import Assigned, NotDone, OnAssigned, OnBatch, Partition, Record

FETCH_WAIT_MS = 500
ALONE_WAIT_MS = 1500
"""Longer than the fetch of the others, which has to end first, may wait at the broker."""
REST_MAX_SECONDS = 10.0
START_ENDS_SECONDS = 2.0
HEARTBEAT_LOST = timedelta(seconds=90)
"""Longer than a group waits for a member that died: meanwhile nobody in it has a heartbeat."""
HUNG_SECONDS = 300.0
"""Longer than a batch that settles nothing is in work before it is handed back."""

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long to wait; tests are less patient."""

    session_ms: int = 30_000
    heartbeat_ms: int = 5_000
    handlers_seconds: float = 8.0  # of the time a process has to end; the rest is for its last answers
    send_seconds: float = 30.0
    retry_seconds: float = 1.0


@dataclass
class _Place:
    """Where we stand in one partition. `next`: the offset to be read next; `done`: up to where all is settled."""

    progress: Progress
    next: int | None = None
    done: int | None = None
    end: int = 0
    starting: bool = True
    in_work: bool = False
    failures: int = 0
    rests_until: float = 0.0
    stopped: str | None = None

    def text(self, seconds: float) -> str:
        why = self.progress.trouble or ("its records are in work" if self.in_work else "nothing is fetched")
        at = self.next if self.done is None else self.done
        return f"stands still at offset {at} for {seconds:.0f} s: {why}"


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(
        self, group: str, on_batch: OnBatch, on_assigned: OnAssigned, clock: Clock, patience: Patience, batch_max: int
    ) -> None:
        self.group = group
        self._on_batch = on_batch
        self._on_assigned = on_assigned
        self._clock = clock
        self._patience = patience
        self._batch_max = batch_max
        self.consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.assigned = False
        self._assignments = 0
        self._starting: asyncio.Task[None] | None = None
        self._places: dict[KafkaPartition, _Place] = {}
        self._heartbeat_at = clock.monotonic()

    # one batch

    async def fetch(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """In place of FastStream's, which after a wait in vain sleeps for as long again and lets new records wait."""
        alone = self._rested(consumer)
        try:
            found = await self._found(consumer, alone)
        except ConsumerStoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - FastStream would begin anew at once, for ever
            log.error("fetch_failed", group=self.group, alone=bool(alone), error=type(error).__name__)
            read = self._go_back(consumer)
            self._failed(consumer, alone or read, error)
            await self._clock.pause(self._patience.retry_seconds)
            return ()
        return tuple(chain.from_iterable(found.values()))

    async def _found(
        self, consumer: AIOKafkaConsumer, alone: Sequence[KafkaPartition]
    ) -> dict[KafkaPartition, list[ConsumerRecord]]:
        wait_ms = ALONE_WAIT_MS if alone else FETCH_WAIT_MS
        consumer.resume(*alone)
        found: dict[KafkaPartition, list[ConsumerRecord]] = await consumer.getmany(
            *alone, timeout_ms=wait_ms, max_records=self._batch_max
        )
        for part in alone:
            if part not in found and part in self._places:
                self._rest(consumer, part)
        for part, records in list(found.items()):
            place = self._places.setdefault(part, _Place(Progress(self._clock.monotonic), starting=False))
            if place.next is not None and records[0].offset > place.next and await self._has_gap(consumer, part, place):
                del found[part]
        for part, records in found.items():
            self._places[part].next, self._places[part].in_work = records[-1].offset + 1, True
        return found

    async def _has_gap(self, consumer: AIOKafkaConsumer, part: KafkaPartition, place: _Place) -> bool:
        """Offsets without a record are usual: transactions use some. Records that were deleted unread are not, and are not passed over."""
        begin = (await consumer.beginning_offsets([part]))[part]
        if place.next is None or begin <= place.next:
            return False
        consumer.pause(part)
        consumer.seek(part, place.next)
        self._stop_reading(
            part, f"we stand at {place.next}, and what lies before {begin} was deleted before it was read"
        )
        return True

    def _go_back(self, consumer: AIOKafkaConsumer) -> list[KafkaPartition]:
        """What the client had unpacked of other partitions is lost when one fails, and their positions have moved."""
        read = []
        for part, position in _positions(consumer):
            place = self._places.get(part)
            if place is None or place.next is None or place.stopped is not None:
                continue
            read.append(part)
            if position != place.next:
                consumer.seek(part, place.next)
        return read

    async def parse(self, raw: tuple[ConsumerRecord, ...]) -> KafkaAckableMessage:
        return KafkaAckableMessage(body=b"", raw_message=raw, headers={}, consumer=self.consumer())

    async def decode(self, message: KafkaAckableMessage) -> Sequence[Record]:
        return [_record(raw) for raw in message.raw_message]

    async def handle(self, records: Sequence[Record]) -> None:
        assignments, consumer = self._assignments, self.consumer()
        first: dict[KafkaPartition, int] = {}
        for record in records:
            first.setdefault(KafkaPartition(record.partition.topic, record.partition.number), record.offset)
        places = [self._places[part] for part in first if part in self._places]

        def settled() -> None:
            for place in places:
                place.progress.settled()

        try:
            with tells(settled):
                await self._on_batch(records)
        except Exception as error:
            log.warning("batch_comes_again", group=self.group, error=type(error).__name__)
            if assignments != self._assignments or consumer is None:
                return  # a rebalance has set every position anew: a rewind to this batch could skip what lies before it
            for part, offset in first.items():
                if part in self._places:
                    self._places[part].next = offset
            self._failed(consumer, first, error)
            raise
        settled()
        if assignments == self._assignments and consumer is not None:
            assigned = consumer.assignment()
            consumer.resume(*(part for part in first if self._places[part].failures and part in assigned))
            for place in places:
                place.done, place.in_work, place.failures = place.next, False, 0

    # partitions that failed

    def _failed(self, consumer: AIOKafkaConsumer, parts: Collection[KafkaPartition], error: Exception) -> None:
        """They rest, and then each runs alone. Who was handed back with a transient error has waited already."""
        for part in parts:
            if (place := self._places.get(part)) is not None:
                place.failures = 1 if isinstance(error, NotDone) or len(parts) > 1 else place.failures + 1
                place.in_work = False
                place.progress.failed(error)
                self._rest(consumer, part)

    def _rest(self, consumer: AIOKafkaConsumer, part: KafkaPartition) -> None:
        place = self._places[part]
        seconds = min(self._patience.retry_seconds * 2.0 ** (place.failures - 1), REST_MAX_SECONDS)
        place.rests_until = self._clock.monotonic() + seconds
        if part in consumer.assignment():
            consumer.pause(part)

    def _rested(self, consumer: AIOKafkaConsumer) -> list[KafkaPartition]:
        """The one that has rested longest, if any has rested enough."""
        now, assigned = self._clock.monotonic(), consumer.assignment()
        resting = [
            part
            for part, place in self._places.items()
            if place.failures and place.stopped is None and place.rests_until <= now and part in assigned
        ]
        return sorted(resting, key=lambda part: self._places[part].rests_until)[:1]

    def _stop_reading(self, part: KafkaPartition, text: str) -> None:
        place = self._places[part]
        place.stopped, place.starting, place.in_work = text, False, False
        log.error("partition_not_read", group=self.group, topic=part.topic, partition=part.partition)

    # assignment

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:  # noqa: ARG002
        await self.stop()

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        """Returns at once: the group has no heartbeat meanwhile. Nothing is read before it is known where to start."""
        consumer = self.consumer()
        assert consumer is not None
        consumer.pause(*assigned)
        self._assignments += 1
        self._places = {part: _Place(Progress(self._clock.monotonic)) for part in assigned}
        self._starting = asyncio.create_task(self._start_reading(consumer, sorted(assigned)))

    async def _start_reading(self, consumer: AIOKafkaConsumer, parts: Sequence[KafkaPartition]) -> None:
        places, readable = self._places, []
        try:
            told = await self._until_possible(lambda: self._told(consumer, parts))
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and read on
            for part in parts:
                self._stop_reading(part, f"reading cannot start: {type(error).__name__}")
            return
        for one, starts in await self._starts(told):
            part = KafkaPartition(one.partition.topic, one.partition.number)
            place = places[part]
            if isinstance(starts, Exception):
                self._stop_reading(part, f"reading cannot start: {type(starts).__name__}: {starts}")
                continue
            if (offset := starts.get(one.partition)) is not None:
                consumer.seek(part, offset)
            place.next = place.done = max(one.committed or 0 if offset is None else offset, one.start)
            place.end, place.starting = one.end, False
            place.progress.settled()
            readable.append(part)
        consumer.resume(*readable)
        self._heartbeat_at = self._clock.monotonic()
        self.assigned = bool(readable) or not parts

    async def _told(self, consumer: AIOKafkaConsumer, parts: Sequence[KafkaPartition]) -> list[Assigned]:
        ends = await consumer.end_offsets(parts) if parts else {}
        begins = await consumer.beginning_offsets(parts) if parts else {}
        return [Assigned(_partition(part), await consumer.committed(part), ends[part], begins[part]) for part in parts]

    async def _starts(self, told: Sequence[Assigned]) -> list[tuple[Assigned, Mapping[Partition, int] | Exception]]:
        """One by one if there is a partition that cannot start: it alone is not read."""
        try:
            starts = await self._until_possible(lambda: self._on_assigned(told))
            return [(one, starts) for one in told]
        except Exception as error:  # noqa: BLE001 - whatever it is, one by one shows whose it is
            if len(told) == 1:
                return [(told[0], error)]
        return [pair for one in told for pair in await self._starts([one])]

    async def _until_possible(self, work: Callable[[], Awaitable[T]]) -> T:
        """For as long as it takes: nothing may be read before it is known where, and `unhealthy` tells after a minute."""
        while True:
            try:
                return await work()
            except (NotDone, KafkaError, *TRANSIENT_ERRORS) as error:
                log.warning("reading_waits", group=self.group, error=type(error).__name__)
                for place in self._places.values():
                    place.progress.failed(error)
                await self._clock.pause(self._patience.retry_seconds)

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting], timeout=START_ENDS_SECONDS)

    # health

    async def look_at_ends(self) -> None:
        """How far the log goes, asked of the brokers that lead it: what was never fetched is work, too."""
        consumer = self.consumer()
        if consumer is not None and (parts := [part for part in self._places if part in consumer.assignment()]):
            for part, end in (await consumer.end_offsets(parts)).items():
                if (place := self._places.get(part)) is not None:
                    place.end = end

    def lag(self) -> Iterator[tuple[str, int]]:
        """Of each partition: its topic, and how many records are not settled."""
        consumer = self.consumer()
        positions = dict(_positions(consumer)) if consumer is not None else {}
        for part, place in self._places.items():
            at = positions.get(part) if place.done is None else place.done
            yield part.topic, max(place.end - at, 0) if at is not None else 0

    def unhealthy(self, possible_since: float = 0.0) -> str | None:
        """Which partition is not read or stands still, or why this consumer will not go on at all."""
        for part, place in self._places.items():
            if place.stopped is not None:
                return f"{part.topic}/{part.partition} is not read: {place.stopped}"
        return self.broken(possible_since) or next(self._standing(possible_since), None)

    def broken(self, possible_since: float = 0.0) -> str | None:
        """Why a new process would do better. aiokafka gives up its tasks for good on errors it does not know, and looks alive."""
        consumer, now = self.consumer(), self._clock.monotonic()
        if consumer is None or not consumer.assignment():
            self._heartbeat_at = now
            return None
        if _task_ended(consumer):
            return "a consumer's task has ended"
        if _has_heartbeat(consumer):
            self._heartbeat_at = now
        if now - max(self._heartbeat_at, possible_since) > HEARTBEAT_LOST.total_seconds():
            return "a consumer's heartbeat has stopped"
        return next(self._standing(possible_since, hopeless=True), None)

    def _standing(self, possible_since: float, hopeless: bool = False) -> Iterator[str]:
        """`hopeless`: only what a new process may mend. Records that fail would fail there as well, and while those of one partition are
        in work no other is fetched."""
        consumer, busy = self.consumer(), any(place.in_work for place in self._places.values())
        for part, place in self._places.items():
            if place.stopped is not None:
                continue
            if not (place.starting or place.in_work or place.failures or _behind(consumer, part, place.end)):
                place.progress.settled()
            still = place.progress.still_seconds(possible_since)
            if hopeless and (place.failures or place.starting or (busy and still <= HUNG_SECONDS)):
                continue
            if still > STANDSTILL_SECONDS:
                yield f"{part.topic}/{part.partition} {place.text(still)}"


def _task_ended(consumer: AIOKafkaConsumer) -> bool:
    coordination, fetch = consumer._coordinator._coordination_task, consumer._fetcher._fetch_task  # noqa: SLF001
    return bool(coordination.done() or fetch.done())


def _has_heartbeat(consumer: AIOKafkaConsumer) -> bool:
    beat = consumer._coordinator._heartbeat_task  # noqa: SLF001
    return beat is not None and not beat.done()


def _behind(consumer: AIOKafkaConsumer | None, part: KafkaPartition, end: int) -> bool:
    """Records of transactions that are still open cannot be read yet: the last stable offset counts."""
    if consumer is None or part not in consumer.assignment():
        return False
    state = consumer._subscription.subscription.assignment.state_value(part)  # noqa: SLF001 - `position()` may wait for ever
    if state is None or not state.has_valid_position:
        return False
    stable = consumer.last_stable_offset(part)
    return bool(state.position < max(end, stable if stable is not None else 0))


def _positions(consumer: AIOKafkaConsumer) -> Iterator[tuple[KafkaPartition, int]]:
    for part in consumer.assignment():
        state = consumer._subscription.subscription.assignment.state_value(part)  # noqa: SLF001
        if state is not None and state.has_valid_position:
            yield part, state.position


def _partition(part: KafkaPartition) -> Partition:
    return Partition(part.topic, part.partition)


def _record(raw: ConsumerRecord) -> Record:
    return Record(Partition(raw.topic, raw.partition), raw.offset, raw.key, raw.value, tuple(raw.headers or ()))
