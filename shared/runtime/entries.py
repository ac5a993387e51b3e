"""One record on its way through the pipeline: what it says, what it means to this consumer, and what became of it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter

from shared.contracts.message import Message, Park
from shared.contracts.parking import RecordParked
from shared.contracts.topics import TOPICS
from shared.runtime import envelope, reading
from shared.runtime.about import About, sayable
from shared.runtime.envelope import ATTRIBUTE_MAX, Envelope, Unreadable
from shared.runtime.store import Tally
from shared.runtime.transport import Partition, Record

CONFLICT = "an event with the same source and id and other content took effect before; send a new id"
FORGOTTEN = "it is older than the inbox, so nobody knows whether it took effect; look, then redrive or dismiss it"
NOT_NEW = {True: None, False: Unreadable("CONTENT_CONFLICT", CONFLICT), None: Unreadable("FORGOTTEN", FORGOTTEN)}
"""What is to be said of an event that is not new, by whether the one before said the same."""


@dataclass(slots=True)
class Entry:
    """A record, what was read of it, and when it first came. The rest changes as it is handled.

    `why`: what an attempt found against it; each attempt begins anew. `counted`: the attempt under way stands in the database.
    `plain`: it is parked with its bytes and nothing that is read from them. `remembered`: however old it is, the inbox knows of it.
    """

    record: Record
    envelope: Envelope | Unreadable
    message: Message | None
    received_at: datetime
    outcome: str = field(default="")
    why: Unreadable | None = field(default=None)
    counted: bool = field(default=False)
    plain: bool = field(default=False)
    remembered: bool = field(default=False)

    def begin(self) -> None:
        self.why = self.envelope if isinstance(self.envelope, Unreadable) else None

    def give_up(self, why: Unreadable) -> None:
        self.envelope, self.message = why, None


def seem_early(entries: Sequence[Entry]) -> bool:
    """Facts that have not happened yet, or our clock is slow."""
    return any(isinstance(one.envelope, Unreadable) and one.envelope.redrive_from is not None for one in entries)


class Reader:
    """What the records of a topic mean to one consumer. `for_others`: types of upstream's that nobody here needs to know."""

    def __init__(self, topic: str, types: Mapping[str, type[Message]], for_others: Collection[str]) -> None:
        self.from_upstream = TOPICS[topic].owner == "upstream"
        self._topic = topic
        self._adapters: dict[str, TypeAdapter[Message]] = {
            name: TypeAdapter(message) for name, message in types.items()
        }
        self._skipped = {*TOPICS[topic].by_type(), *for_others}

    def entry(self, record: Record, received_at: datetime, judged_at: datetime) -> Entry:
        """Never raises: whatever a record holds, it can be parked. `judged_at`: what lies far ahead of that is from the future."""
        try:
            seen, message = self._understood(record, judged_at)
        except Exception as error:  # noqa: BLE001
            seen, message = Unreadable("UNREADABLE", f"understanding it fails with {type(error).__name__}"), None
        return Entry(record, seen, message, received_at)

    def judged_again(self, entries: Sequence[Entry], at: datetime) -> list[Entry]:
        """By another clock than ours, if that is later."""
        return [self.entry(one.record, one.received_at, max(one.received_at, at)) for one in entries]

    def _understood(self, record: Record, judged_at: datetime) -> tuple[Envelope | Unreadable, Message | None]:
        seen = envelope.read(record)
        if isinstance(seen, Unreadable):
            return seen, None
        adapter = self._adapters.get(seen.type)
        if adapter is None:
            return (self._unknown() if self.from_upstream and seen.type not in self._skipped else seen), None
        message = reading.message_of(adapter, seen.body)
        if isinstance(message, Unreadable):
            return message, None
        early = reading.ahead_of(message, judged_at) if self.from_upstream else None
        return (seen, message) if early is None else (early, None)

    def _unknown(self) -> Unreadable:
        known = ", ".join(TOPICS[self._topic].by_type())
        text = f"nobody knows this type; {self._topic} has {known}. TYPES_FOR_OTHERS lists what is meant for others"
        return Unreadable("UNKNOWN_TYPE", text)


def sorted_out(results: Sequence[Message | Park], entries: Sequence[Entry]) -> list[Message]:
    """Messages go on; what a handler parks is marked on the entry it came from."""
    refused = {id(result.message): result for result in results if isinstance(result, Park)}
    for entry in entries if refused else ():
        if (park := refused.get(id(entry.message))) is not None:
            entry.why = Unreadable(park.reason, park.text)
    return [result for result in results if isinstance(result, Message)]


def tallies(entries: Sequence[Entry]) -> Iterator[Tally]:
    by_partition: dict[Partition, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_partition[entry.record.partition].append(entry)
    for partition, members in by_partition.items():
        outcomes = [entry.outcome for entry in members]
        yield Tally(
            partition,
            max(entry.record.offset for entry in members) + 1,
            *(outcomes.count(outcome) for outcome in ("applied", "duplicate", "parked", "skipped")),
        )


def told(consumer: str, record: Record, known: About, why: Unreadable) -> RecordParked:
    """What upstream is told of its record; what looks personal is hidden, and the place of the record says enough."""
    return RecordParked(
        account_id=known.account_id,
        consumer=consumer,
        record_topic=record.partition.topic,
        record_partition=record.partition.number,
        record_offset=record.offset,
        event_source=sayable(known.event_source, ATTRIBUTE_MAX),
        event_id=sayable(known.event_id, ATTRIBUTE_MAX),
        event_type=sayable(known.event_type, ATTRIBUTE_MAX),
        number=sayable(known.number, ATTRIBUTE_MAX),
        reason=why.reason,
        text=why.text,
        redrive_from=why.redrive_from,
    )
