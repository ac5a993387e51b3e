"""What all of a simulation share: the seed's dice, the world, the step log, and what was counted."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from shared.domain.calendar import SHANGHAI
from tests.simulation.faults import Bugs
from tests.support.stage import Stage
from tests.support.world import FlowWorld

START = datetime(2026, 3, 31, 23, 30, tzinfo=SHANGHAI)


@dataclass
class Result:
    seed: int
    steps: int = 0
    """Actions that were drawn; and each delivery, round of a relay and step of a worker that did something while all came to rest."""
    happened: Counter[str] = field(default_factory=Counter)
    """Faults by kind; each is counted when it happens."""
    invoices: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    log_hash: str = ""

    @property
    def faults(self) -> int:
        return self.happened.total()


class Scene:
    """One seed. Every choice is drawn from `random`, so that the seed alone decides what happens."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.result = Result(seed)
        self.rate = self.random.choice((0.0, 0.05, 0.15, 0.3))
        self.platform_rate = self.random.choice((0.0, 0.2, 0.5))
        delay = self.random.choice((0.0, 2.0, 40.0))
        self.world = FlowWorld(START, seed, delay, self._platform_fault)
        self.stage: Stage = self.world.stage
        self.bugs = Bugs(self.happened)
        self.log = hashlib.blake2b(digest_size=16)
        self.calm = False
        """While it is calm nothing goes wrong."""

    def note(self, *what: object) -> None:
        """A line of the step log, which is the same whenever the seed is played."""
        self.log.update(repr(what).encode())

    def happened(self, fault: str) -> None:
        self.result.happened[fault] += 1
        self.note("fault", fault)

    def goes_wrong(self, rate: float | None = None) -> bool:
        """Whether somebody may now do harm. What comes of it counts when it happens."""
        return not self.calm and self.random.random() < (self.rate if rate is None else rate)

    def _platform_fault(self) -> str:
        if not self.goes_wrong(self.platform_rate):
            return ""
        fault = self.random.choice(("lose_request", "lose_answer"))
        self.happened(fault)
        return fault
