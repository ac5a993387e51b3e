"""What a soak notes: what was done, what came of it, and the plain books that the ledger has to agree with."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random

from aiokafka import AIOKafkaProducer

from tests.live.stack import LiveStack


@dataclass
class Notes:
    """What was done and what came of it. `failures` is empty if all went well."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    memory: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass
class Line:
    """One line of a billing document. All lines of an account are its books."""

    subject: str
    fen: int
    refunded_fen: int = 0


@dataclass
class Document:
    """An order, or the bill of a cycle."""

    number: str
    cycle: str | None
    lines: list[Line]


@dataclass
class Shared:
    """What all who act in a soak share."""

    stack: LiveStack
    rng: Random
    notes: Notes = field(default_factory=Notes)
    patience_seconds: float = 120.0
    """How long anybody asks again for what does not come."""
    books: dict[int, list[Line]] = field(default_factory=lambda: defaultdict(list))
    request_ids: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By account, the requests that were given a number, whatever became of them."""

    producer: AIOKafkaProducer = field(init=False)
    """Set while the soak is on."""


def accounted_fen(row: dict[str, int]) -> int:
    """What a month or a balance says it knows of. Months have what offsets come to, balances their two sides."""
    added = ("available_fen", "in_progress_fen", "invoiced_fen", "offset_fen", "offset_cost_fen")
    return sum(row.get(name, 0) for name in added) - row["deficit_fen"] - row.get("offset_accept_fen", 0)
