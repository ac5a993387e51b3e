"""The wire port: how records reach a service and leave it. Two implementations, and nothing above this port knows which one it has:
Kafka (`kafka.py`) in production and a log in memory (`memory.py`) for simulation and tests of all services in one process.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Headers = tuple[tuple[str, bytes | None], ...]
"""A name that is not UTF-8 is text all the same, with its bytes as Python escapes them (`surrogateescape`)."""


@dataclass(frozen=True, slots=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the broker keeps it. Key, value and header values are bytes or missing, whatever the sender did."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send. The key chooses the partition, so that one key keeps its order."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition given to this consumer: where the group's committed offset stands (None: nowhere), where the log begins and ends."""

    partition: Partition
    committed: int | None
    end: int
    start: int = 0


OnBatch = Callable[[Sequence[Record]], Awaitable[None]]
"""Handles records; a normal return is the commit. `NotDone` means: give me the same records again."""

OnAssigned = Callable[[Sequence[Assigned]], Awaitable[Mapping[Partition, int]]]
"""Told of new partitions, before any of their records. A transient error it raises is waited out; anything else makes the transport
unhealthy. It answers with the offsets to seek to, for those that should not start at the committed one."""


def name_bytes(name: str | bytes) -> bytes:
    """The name of a header as it came, whatever it is."""
    if isinstance(name, bytes):
        return name
    try:
        return name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return name.encode(errors="surrogatepass")


def name_text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


class LogDiffers(Exception):  # noqa: N818
    """The log does not have the place where we stand. Somebody must look before anything is read."""


class NotDone(Exception):  # noqa: N818 - an outcome of a batch, not a defect
    """The batch did not commit and must come again: the database is away, or time ran out."""


class SendFailed(Exception):  # noqa: N818
    """At least one record was not confirmed. The first `confirmed` of them were; all others are sent again."""

    confirmed = 0


class Transport(Protocol):
    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        """Declare a consumer; called before `start`."""
        ...

    async def start(self) -> None: ...

    async def stop_consuming(self) -> None:
        """Stop fetching, let handlers in flight finish, leave the groups."""
        ...

    async def stop(self) -> None:
        """After `stop_consuming`: close what sends."""
        ...

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send in order and return when every record is confirmed; raise `SendFailed` otherwise."""
        ...

    async def reachable(self) -> bool:
        """Whether the cluster answers; never takes long."""
        ...

    def unhealthy(self, possible_since: float = 0.0) -> str | None:
        """What is not read or stands still, although work could be done since that moment; or None. Also what `broken` says."""
        ...

    def broken(self, possible_since: float = 0.0) -> str | None:
        """Why this transport will not recover by itself, and a new process would; or None."""
        ...

    def lag(self) -> Mapping[tuple[str, str], int]:
        """By consumer and topic: how many records are not settled."""
        ...

    def assigned(self) -> bool:
        """Whether every declared consumer has had an assignment (possibly empty, when others have it all)."""
        ...
