"""From a batch of records to committed effects: read, insert into the inbox, call the handler, write outbox and offset, commit.

One PostgreSQL transaction holds all of it, so delivery may repeat and the effect does not. A list handler has one transaction for
its batch, any other handler one for each message. When a batch fails, its records run one by one; transient errors are waited
out and never counted; what can't be read or breaks its contract is parked at once, anything else after five attempts, counted before each.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import structlog
from asyncpg import Connection, QueryCanceledError
from pydantic import TypeAdapter, ValidationError

from shared.contracts.message import Message, Park, Unacceptable
from shared.runtime import envelope, facts, store, tracing
from shared.runtime.clock import Clock
from shared.runtime.database import TRANSIENT_ERRORS, Database
from shared.runtime.envelope import Envelope, Unreadable
from shared.runtime.metrics import PARKED_RECORDS, RECORDS
from shared.runtime.outbox import Outbox
from shared.runtime.transport import Assigned, NotDone, Partition, Record

ATTEMPTS_MAX = 5
RETRY_SECONDS, RETRY_TRIES_MAX = 60.0, 100
PAUSE_FIRST_SECONDS, PAUSE_MAX_SECONDS = 0.1, 10.0
CAREFUL_SECONDS = 120.0
"""One by one may take long; well under the broker's patience (5 minutes) we hand back what is left."""

Handler = Callable[[Any, Connection, datetime], Awaitable[Sequence[Message | Park]]]
BatchHandler = Callable[[list[Any], Connection, datetime], Awaitable[Sequence[Message | Park]]]

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(slots=True)
class Entry:
    """One record on its way: what it says, what it means to us, when it first came, and what became of it."""

    record: Record
    envelope: Envelope | Unreadable
    message: Message | None
    received_at: datetime
    outcome: str = field(default="")


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
    ) -> None:
        self.name = name
        self.topic = topic
        self._adapters = {name: TypeAdapter(message) for name, message in types.items()}
        self._handlers = handlers
        self._batch_handler = batch_handler
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._forgiven: set[tuple[Partition, int]] = set()

    async def on_assigned(self, assigned: Sequence[Assigned]) -> Mapping[Partition, int]:
        """Start from the lower of our offset and Kafka's, none being zero: what was lost on either side heals by itself."""
        async with self._database.read() as db:
            stored = await store.stored_offsets(db, self.name)
        for part in assigned:
            if not part.start <= (at := stored.get(part.partition, part.start)) <= part.end:
                raise LogDiffers(
                    f"{self.name} stands at {at} of {part.partition}, which goes from {part.start} to {part.end}: "
                    "either records were deleted before they were read, or the topic was made anew"
                )
        return {part.partition: min(stored.get(part.partition, 0), part.committed or 0) for part in assigned}

    async def on_batch(self, records: Sequence[Record]) -> None:
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
                log.warning("batch_failed", consumer=self.name, records=len(records), error=type(error).__name__)
                await self._one_by_one(entries)

    async def redrive(
        self, record: Record, received_at: datetime, also: Callable[[Connection], Awaitable[None]]
    ) -> None:
        """Run a parked record through the same pipeline, with its first receipt; `also` marks it in the same transaction."""
        await self._apply([self._entry(record, received_at)], also=also)

    # one batch

    async def _begin(self, records: Sequence[Record]) -> tuple[list[Entry], bool]:
        now = self._clock.now()
        offsets: dict[Partition, list[int]] = defaultdict(list)
        for record in records:
            offsets[record.partition].append(record.offset)
        async with self._database.transaction() as db:
            await db.execute(
                "SET LOCAL synchronous_commit = off"
            )  # losing a count in a crash of PostgreSQL does no harm
            spans = [(partition, min(seen), max(seen)) for partition, seen in offsets.items()]
            begun = await store.begin_batch(db, self.name, spans, now)
        entries = []
        for record in records:
            start = begun[record.partition]
            entries.append(self._entry(record, start.received_at if record.offset <= start.received_through else now))
        return entries, any(start.tries > 1 for start in begun.values())

    def _entry(self, record: Record, received_at: datetime) -> Entry:
        seen = envelope.read(record)
        if isinstance(seen, Unreadable) or seen.type not in self._adapters:
            return Entry(record, seen, None, received_at)
        try:
            message = self._adapters[seen.type].validate_json(seen.body)
        except ValidationError as error:
            return Entry(record, Unreadable("BREAKS_CONTRACT", _fields(error)), None, received_at)
        return Entry(record, seen, message, received_at)

    async def _apply(self, entries: list[Entry], also: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """The transaction. Everything a batch or a message does is in here or did not happen."""
        with self._span(entries) as traceparent:
            async with self._database.transaction(traceparent) as db:
                if also is not None:
                    await also(db)
                handle = self._handle_one if self._batch_handler is None else self._handle_batch
                answers = await handle(db, entries)
                now = self._clock.now()
                for entry in entries:
                    if isinstance(entry.envelope, Unreadable):
                        reason, text = entry.envelope.reason, entry.envelope.text
                        await store.park(db, self.name, entry.record, reason, text, entry.received_at, now)
                        entry.outcome = "parked"
                await self._outbox.write(db, answers, traceparent)
                await store.move_offsets(db, self.name, list(_tallies(entries)))
        self._outbox.committed()
        for entry in entries:
            RECORDS.labels(self.name, entry.outcome).inc()
            if isinstance(entry.envelope, Unreadable):
                PARKED_RECORDS.labels(self.name, entry.envelope.reason).inc()
                facts.parked(self.name, entry.record, entry.envelope.reason)

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
            answers += _sorted_out(results, members)
        return answers

    async def _handle_one(self, db: Connection, entries: list[Entry]) -> list[Message]:
        (entry,) = entries
        if entry.message is None or isinstance(entry.envelope, Unreadable):
            entry.outcome = "skipped"
            return []
        if not await store.enter_inbox(db, entry.envelope, entry.record, entry.received_at):
            entry.outcome = "duplicate"
            if not await store.same_content(db, entry.envelope):
                text = "an event with the same source and id and other content took effect before; send a new id"
                entry.envelope = Unreadable("CONTENT_CONFLICT", text)
            return []
        entry.outcome = "applied"
        results = await self._handlers[type(entry.message)](entry.message, db, entry.received_at)
        return _sorted_out(results, entries)

    # one by one

    async def _one(self, entry: Entry) -> None:
        try:
            await self._apply([entry])
        except Exception as error:  # noqa: BLE001
            log.warning("message_failed", consumer=self.name, offset=entry.record.offset, error=type(error).__name__)
            await self._carefully(entry)

    async def _one_by_one(self, entries: Sequence[Entry]) -> None:
        started = self._clock.real()
        for entry in entries:
            if (self._clock.real() - started).total_seconds() > CAREFUL_SECONDS:
                raise NotDone
            await self._carefully(entry)

    async def _carefully(self, entry: Entry) -> None:
        """Count, try, and after the last attempt park."""
        for attempt in range(ATTEMPTS_MAX + 1):
            tries = await self._retried(lambda: self._count(entry))
            if tries > ATTEMPTS_MAX:
                text = f"failed {ATTEMPTS_MAX} times, or ended the process while it was in work"
                await self._park(entry, "ATTEMPTS_EXHAUSTED", text)
                return
            try:
                await self._retried(lambda: self._settle(entry), entry, own=True)
            except NotDone:
                raise
            except Unacceptable as error:
                await self._park(entry, error.reason, error.text)
                return
            except Exception as error:  # noqa: BLE001 - a bug in a handler must not stop the partition
                log.error(
                    "attempt_failed",
                    consumer=self.name,
                    offset=entry.record.offset,
                    tries=tries,
                    error=type(error).__name__,
                )
                await self._clock.pause(_pause_seconds(attempt))
            else:
                return

    async def _settle(self, entry: Entry) -> None:
        await self._apply([entry], also=lambda db: store.end_record(db, self.name, entry.record))

    async def _count(self, entry: Entry) -> int:
        if (entry.record.partition, entry.record.offset) in self._forgiven:
            self._forgiven.discard((entry.record.partition, entry.record.offset))
            return 1
        async with self._database.transaction() as db:
            return await store.begin_record(db, self.name, entry.record)

    async def _park(self, entry: Entry, reason: str, text: str) -> None:
        entry.envelope, entry.message = Unreadable(reason, text), None
        await self._retried(lambda: self._settle(entry))

    async def _retried(self, work: Callable[[], Awaitable[T]], entry: Entry | None = None, own: bool = False) -> T:
        """Try again after transient errors, for a minute at most; then hand the batch back, without counting an attempt.

        `own`: what a handler asks of the database may take too long at any time, and then that counts against the record.
        """
        started = self._clock.real()
        for attempt in range(RETRY_TRIES_MAX):
            try:
                return await work()
            except TRANSIENT_ERRORS as error:
                if own and isinstance(error, QueryCanceledError):
                    raise
                log.warning("transient_error", consumer=self.name, error=type(error).__name__)
                if (self._clock.real() - started).total_seconds() > RETRY_SECONDS:
                    break
                await self._clock.pause(_pause_seconds(attempt) * (0.5 + self._clock.jitter()))
        if entry is not None:
            self._forgiven.add((entry.record.partition, entry.record.offset))
        raise NotDone

    @contextmanager
    def _span(self, entries: Sequence[Entry]) -> Iterator[str | None]:
        parents = [entry.envelope.traceparent for entry in entries if isinstance(entry.envelope, Envelope)]
        with tracing.consuming(self.name, self.topic, parents):
            yield tracing.traceparent()


def _sorted_out(results: Sequence[Message | Park], entries: Sequence[Entry]) -> list[Message]:
    """Messages go on; what a handler parks is marked on the entry it came from."""
    refused = {id(result.message): result for result in results if isinstance(result, Park)}
    for entry in entries if refused else ():
        if (park := refused.get(id(entry.message))) is not None:
            entry.envelope = Unreadable(park.reason, park.text)
    return [result for result in results if isinstance(result, Message)]


def _tallies(entries: Sequence[Entry]) -> Iterator[store.Tally]:
    by_partition: dict[Partition, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_partition[entry.record.partition].append(entry)
    for partition, members in by_partition.items():
        outcomes = [entry.outcome for entry in members]
        yield store.Tally(
            partition,
            max(entry.record.offset for entry in members) + 1,
            *(outcomes.count(outcome) for outcome in ("applied", "duplicate", "parked", "skipped")),
        )


def _fields(error: ValidationError) -> str:
    """Which fields break the contract and how, never their values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])[:400]


def _pause_seconds(attempt: int) -> float:
    return min(PAUSE_FIRST_SECONDS * 2.0**attempt, PAUSE_MAX_SECONDS)


class LogDiffers(Exception):  # noqa: N818
    """The log does not have the place where we stand. Somebody must look before anything is read."""
