"""From a batch of records to committed effects: read, insert into the inbox, call the handler, write outbox and offset, commit.

One PostgreSQL transaction holds all of it, so delivery may repeat and the effect does not. A list handler has one transaction for
its batch, any other handler one for each message. When a batch fails, its records run one by one; transient errors are waited
out and never counted; what can't be read or breaks its contract is parked at once, anything else after five attempts, counted before each.
What is the system's own fault parks nothing: the batch is handed back, and the consumer says that it is unhealthy (`blame.py`).
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import structlog
from asyncpg import Connection, QueryCanceledError

from shared.contracts.message import Message, Park, Unacceptable
from shared.contracts.parking import RecordParked
from shared.runtime import blame, dismissed, facts, store, tracing
from shared.runtime.about import About, about, plain
from shared.runtime.clock import Clock
from shared.runtime.database import Database
from shared.runtime.entries import NOT_NEW, Entry, Reader, seem_early, sorted_out, tallies, told
from shared.runtime.envelope import Envelope, Unreadable, meaning_of
from shared.runtime.metrics import PARKED_RECORDS, RECORDS, REPEATS
from shared.runtime.outbox import Outbox
from shared.runtime.parking import Parking
from shared.runtime.places import Places, starts
from shared.runtime.transport import Assigned, NotDone, Partition, Record

ATTEMPTS_MAX = 5
RETRY_SECONDS, RETRY_TRIES_MAX = 60.0, 100
PAUSE_FIRST_SECONDS, PAUSE_MAX_SECONDS = 0.1, 10.0
CAREFUL_SECONDS = 120.0
"""One by one may take long; well under the broker's patience (5 minutes) we hand back what is left."""
PARKS_IN_A_ROW_MAX = 10
"""Records parked after five attempts with none between that took effect: then it is not the records."""
EXHAUSTED = "ATTEMPTS_EXHAUSTED"

Handler = Callable[[Any, Connection, datetime], Awaitable[Sequence[Message | Park]]]
BatchHandler = Callable[[list[Any], Connection, datetime], Awaitable[Sequence[Message | Park]]]

T = TypeVar("T")
log = structlog.get_logger()


class Consumer:
    """One service's reading of one topic. `handlers` by message type, or one `batch_handler` for all types of the topic."""

    def __init__(
        self,
        name: str,
        topic: str,
        types: Mapping[str, type[Message]],
        handlers: Mapping[type[Message], Handler],
        batch_handler: BatchHandler | None,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        parking: Parking,
        for_others: Collection[str] = (),
    ) -> None:
        """`for_others`: types that upstream writes to this topic and that nobody here needs to know."""
        self.name = name
        self.topic = topic
        self._reader = Reader(topic, types, for_others)
        self._handlers = handlers
        self._batch_handler = batch_handler
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._parking = parking
        self.places = Places(name)
        self._owed: set[tuple[Partition, int]] = set()
        self._repeats: dict[Partition, int] = {}
        self._parks_in_a_row = 0
        self._unhealthy: str | None = None

    def unhealthy(self) -> str | None:
        """Why batches are handed back though database and broker are there. None again once a batch is done."""
        return self._unhealthy

    def repeats(self) -> Mapping[Partition, int]:
        """How often the batch that a partition stands at came again, where it did."""
        return self._repeats

    async def on_assigned(self, assigned: Sequence[Assigned]) -> Mapping[Partition, int]:
        """Start from the lower of our offset and Kafka's, none being zero: what was lost on either side heals by itself."""
        async with self._database.read() as db:
            stored, forgotten = await store.stored_offsets(db, self.name), await store.forgotten(db, self.name)
            self._parks_in_a_row = await store.parks_in_a_row(db, self.name)
        self.places.begin({part.partition: stored[part.partition] for part in assigned if part.partition in stored})
        return starts(self.name, assigned, stored, forgotten)

    async def look_back(self) -> None:
        """Also where nothing new arrives it is noticed that the database went back."""
        known = self.places.known
        async with self._database.read() as db:
            stored = await store.stored_offsets(db, self.name)
        self.places.check(known, stored)

    async def on_batch(self, records: Sequence[Record]) -> None:
        try:
            await self._take(records)
        except NotDone:
            raise
        except Exception as error:
            raise self._hand_back(error) from error
        self._unhealthy = None
        for partition in self._repeats and {record.partition for record in records}:
            self._came_again(partition, 0)

    async def _take(self, records: Sequence[Record]) -> None:
        entries, tried_before = await self._retried(lambda: self._begin(records))
        if tried_before:
            await self._one_by_one(entries)
        elif self._batch_handler is None:
            for entry in entries:
                await self._one(entry)
        else:
            try:
                await self._retried(lambda: self._apply(entries), own=True)
            except NotDone:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the records now run one by one and show which it was
                log.warning("batch_failed", consumer=self.name, records=len(records), error=blame.name_of(error))
                await self._one_by_one(entries)

    async def redrive(
        self,
        record: Record,
        received_at: datetime,
        also: Callable[[Connection], Awaitable[None]],
        known_as: tuple[str | None, str | None],
    ) -> None:
        """Run a parked record through the same pipeline, with its first receipt; `also` marks it in the same transaction.

        If it still cannot take effect, it is parked again with the reason of today. `known_as`: the event as which it was parked; as long
        as that is open, what the inbox has of this event stays.
        """
        entry = self._reader.entry(record, received_at, self._clock.now())
        entry.remembered = isinstance(entry.envelope, Envelope) and entry.envelope.key == known_as
        try:
            await self._apply([entry], also=also)
        except Unacceptable as error:
            entry.give_up(Unreadable(error.reason, plain(error.text)))
        except Exception as error:
            if blame.is_transient(error) or blame.is_the_systems(error):
                raise
            entry.give_up(Unreadable(EXHAUSTED, f"it was redriven and failed with {blame.name_of(error)}"))
        else:
            return
        await self._apply([entry], also=also)

    def _hand_back(self, error: Exception) -> NotDone:
        self._unhealthy = f"{self.name} hands its batches back: {blame.name_of(error)}"
        log.error("system_fault", consumer=self.name, error=blame.name_of(error))
        return NotDone()

    def _came_again(self, partition: Partition, times: int) -> None:
        if times:
            self._repeats[partition] = times
        elif self._repeats.pop(partition, None) is None:
            return
        REPEATS.labels(self.name, partition.number).set(times)

    # one batch

    async def _begin(self, records: Sequence[Record]) -> tuple[list[Entry], bool]:
        now = self._clock.now()
        offsets: dict[Partition, list[int]] = defaultdict(list)
        for record in records:
            offsets[record.partition].append(record.offset)
        async with self._database.transaction() as db:
            # Losing a count in a crash of PostgreSQL does no harm.
            await db.execute("SET LOCAL synchronous_commit = off")
            spans = [(partition, min(seen), max(seen)) for partition, seen in offsets.items()]
            begun = await store.begin_batch(db, self.name, spans, now)
        entries = []
        for record in records:
            received_at = begun[record.partition].receipt(record.offset, now)
            entries.append(self._reader.entry(record, received_at, received_at))
        if seem_early(entries):
            async with self._database.read() as db:  # the clock that all share has the last word
                entries = self._reader.judged_again(entries, await self._clock.lease_time(db) + self._clock.offset)
        await dismissed.pass_over(self._database, self.name, entries, self.places.known)
        for partition, start in begun.items():
            self._came_again(partition, start.tries - 1)
        return entries, any(start.tries > 1 for start in begun.values())

    async def _apply(self, entries: list[Entry], also: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """The transaction. Everything a batch or a message does is in here or did not happen."""
        for entry in entries:
            entry.begin()
        with self._span(entries) as traceparent:
            async with self._database.transaction(traceparent) as db:
                if also is not None:
                    await also(db)
                handle = self._handle_one if self._batch_handler is None else self._handle_batch
                answers = await handle(db, entries)
                answers += await self._parked(db, entries)
                await self._outbox.write(db, answers, traceparent)
                moved, known = list(tallies(entries)), self.places.known
                before = await store.move_offsets(db, self.name, moved)
                self.places.check({one.partition: known.get(one.partition, 0) for one in moved}, before)
                effective = self._parks_in_a_row > 0 and any(entry.outcome == "applied" for entry in entries)
                if effective:
                    await store.end_row_of_parks(db, self.name)
        if effective:
            self._parks_in_a_row = 0
        self.places.committed(moved)
        self._outbox.committed()
        for entry in entries:
            RECORDS.labels(self.name, entry.outcome).inc()
            if entry.why is not None:
                PARKED_RECORDS.labels(self.name, entry.why.reason).inc()
                facts.parked(self.name, entry.record, entry.why.reason)

    async def _parked(self, db: Connection, entries: list[Entry]) -> list[RecordParked]:
        """Park what cannot take effect. Upstream is told of its own records, once for each row."""
        said = []
        for entry in entries:
            if entry.why is None:
                continue
            entry.outcome = "parked"
            known = About() if entry.plain else about(entry.record)
            now = self._clock.now()
            sealed = self._parking.seal(entry.record)
            fresh = await store.park(db, self.name, entry.record, sealed, known, entry.why, entry.received_at, now)
            if fresh and self._reader.from_upstream and not entry.plain:
                said.append(told(self.name, entry.record, known, entry.why))
        return said

    async def _handle_batch(self, db: Connection, entries: list[Entry]) -> list[Message]:
        assert self._batch_handler is not None
        answers: list[Message] = []
        known = [entry for entry in entries if entry.message is not None]
        for entry in entries:
            entry.outcome = "applied" if entry.message is not None else "skipped"
        by_receipt = sorted(known, key=lambda entry: entry.received_at)
        for received_at, group in groupby(by_receipt, key=lambda entry: entry.received_at):
            members = list(group)
            results = await self._batch_handler([entry.message for entry in members], db, received_at)
            answers += sorted_out(results, members)
        return answers

    async def _handle_one(self, db: Connection, entries: list[Entry]) -> list[Message]:
        (entry,) = entries
        if entry.message is None or isinstance(entry.envelope, Unreadable):
            entry.outcome = "skipped"
            return []
        event = replace(entry.envelope, meaning=meaning_of(entry.message))
        now = self._clock.now()
        if not await store.enter_inbox(db, self.name, event, entry.record, now, entry.remembered):
            entry.outcome = "duplicate"
            entry.why = NOT_NEW[await store.seen_again(db, event, now)]
            return []
        entry.outcome = "applied"
        results = await self._handlers[type(entry.message)](entry.message, db, entry.received_at)
        return sorted_out(results, entries)

    # one by one

    async def _one(self, entry: Entry) -> None:
        try:
            await self._apply([entry])
        except NotDone:
            raise
        except Exception as error:  # noqa: BLE001
            name = blame.name_of(error)
            log.warning("message_failed", consumer=self.name, offset=entry.record.offset, error=name)
            await self._carefully(entry)

    async def _one_by_one(self, entries: Sequence[Entry]) -> None:
        started = self._clock.real()
        for entry in entries:
            if (self._clock.real() - started).total_seconds() > CAREFUL_SECONDS:
                raise NotDone
            await self._carefully(entry)

    async def _carefully(self, entry: Entry) -> None:
        """Count, try, and after the last attempt park, unless so many were parked in a row that it can't be the records."""
        how = "ended the process while it was in work, or failed in one that has ended"
        for attempt in range(ATTEMPTS_MAX + 1):
            tries = await self._retried(lambda: self._count(entry))
            tripped = tries > ATTEMPTS_MAX and self._parks_in_a_row >= PARKS_IN_A_ROW_MAX
            if tries > ATTEMPTS_MAX and not tripped:
                await self._park(entry, Unreadable(EXHAUSTED, f"after {ATTEMPTS_MAX} attempts: it {how}"))
                return
            try:
                await self._retried(lambda: self._counted_settle(entry), entry, own=True)
            except NotDone:
                raise
            except Unacceptable as error:
                await self._park(entry, Unreadable(error.reason, error.text))
                return
            except Exception as error:
                if tripped:
                    raise self._hand_back(error) from error
                name = blame.name_of(error)
                log.error("attempt_failed", consumer=self.name, offset=entry.record.offset, tries=tries, error=name)
                how = f"failed with {name}"
                await self._retried(lambda: self._failed(entry))
                await self._clock.pause(_pause_seconds(attempt))
            else:
                return
        raise NotDone  # somebody has taken counts away; nothing may be passed over for that

    async def _settle(self, entry: Entry, exhausted: bool = False) -> None:
        parks = self._parks_in_a_row

        async def also(db: Connection) -> None:
            nonlocal parks
            await store.end_record(db, self.name, entry.record)
            if exhausted:
                parks = await store.count_park(db, self.name)

        await self._apply([entry], also=also)
        if exhausted:
            self._parks_in_a_row = parks

    async def _counted_settle(self, entry: Entry) -> None:
        if not entry.counted:
            await self._count(entry)
        await self._settle(entry)

    async def _count(self, entry: Entry) -> int:
        place = entry.record.partition, entry.record.offset
        anew = place in self._owed
        self._owed.add(place)  # until its commit is known: if that fails it may have counted, and counts again
        async with self._database.transaction() as db:
            tries = await store.begin_record(db, self.name, entry.record, anew)
        self._owed.discard(place)
        entry.counted = True
        return tries

    async def _failed(self, entry: Entry) -> None:
        async with self._database.transaction() as db:
            await store.attempt_failed(db, self.name, entry.record)

    async def _take_back(self, entry: Entry) -> None:
        """In the database, where the next process looks too; if that is away, with the next count."""
        try:
            async with self._database.transaction() as db:
                await store.take_back(db, self.name, entry.record)
        except Exception as error:  # noqa: BLE001 - the error that ended the attempt is the one that counts
            log.warning("attempt_not_taken_back", consumer=self.name, error=blame.name_of(error))
            self._owed.add((entry.record.partition, entry.record.offset))
        entry.counted = False

    async def _park(self, entry: Entry, why: Unreadable) -> None:
        """If it can't be parked with what is read from it, then with its bytes alone."""
        entry.give_up(why)
        exhausted = why.reason == EXHAUSTED
        try:
            await self._retried(lambda: self._settle(entry, exhausted))
        except NotDone:
            raise
        except Exception as error:  # noqa: BLE001
            log.error("parked_plain", consumer=self.name, offset=entry.record.offset, error=blame.name_of(error))
            entry.plain = True
            entry.give_up(Unreadable(why.reason, plain(why.text)))
            await self._retried(lambda: self._settle(entry, exhausted))

    async def _retried(self, work: Callable[[], Awaitable[T]], entry: Entry | None = None, own: bool = False) -> T:
        """Try again after transient errors, for a minute at most; then hand the batch back. What is the system's fault is handed back
        at once. Neither counts as an attempt at `entry`.

        `own`: what a handler asks of the database may take too long at any time, and then that counts against the record.
        """
        started = self._clock.real()
        for attempt in range(RETRY_TRIES_MAX):
            try:
                return await work()
            except Exception as error:
                systems = blame.is_the_systems(error)
                if not (systems or blame.is_transient(error)) or (own and isinstance(error, QueryCanceledError)):
                    raise
                if entry is not None:
                    await self._take_back(entry)
                if systems:
                    raise self._hand_back(error) from error
                log.warning("transient_error", consumer=self.name, error=blame.name_of(error))
            if (self._clock.real() - started).total_seconds() > RETRY_SECONDS:
                break
            await self._clock.pause(_pause_seconds(attempt) * (0.5 + self._clock.jitter()))
        raise NotDone

    @contextmanager
    def _span(self, entries: Sequence[Entry]) -> Iterator[str | None]:
        parents = [entry.envelope.traceparent for entry in entries if isinstance(entry.envelope, Envelope)]
        with tracing.consuming(self.name, self.topic, parents):
            yield tracing.traceparent()


def _pause_seconds(attempt: int) -> float:
    return min(PAUSE_FIRST_SECONDS * 2.0**attempt, PAUSE_MAX_SECONDS)
