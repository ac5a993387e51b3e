"""What is played: a list of steps that the seed alone decides. A seed gives the same faults, in the same order, with the same values.

Seeds 1, 2, 3 … begin with the kinds in the order of the table, so that each stretch of seeds as long as it meets every kind; two more are
drawn after it. Three seeds are named: the one without faults, and the two short ones of `make test`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any

from tests.nemesis.kinds import KINDS

MORE_STEPS = 2
PAUSE_SECONDS = (1.0, 4.0)
CALM, FAILOVER, PARTITIONS = 0, 101, 102


@dataclass(frozen=True)
class Step:
    """One fault: it begins so long after the one before was healed (or, `beside` it, after that began), and lasts so long."""

    kind: str
    after_seconds: float
    seconds: float
    beside: bool = False
    how: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in self.how.items())
        when = "beside it, after" if self.beside else "after"
        return f"{self.kind} ({said}) {when} {self.after_seconds} s, for {self.seconds} s".replace(" ()", "")


@dataclass(frozen=True)
class Schedule:
    seed: int
    steps: tuple[Step, ...]

    @property
    def synchronous(self) -> bool:
        """Whether a commit waits for the standby. Where it does not, what was acknowledged may be lost, and that is expected."""
        return not any(KINDS[step.kind].loses for step in self.steps)

    @property
    def needs_a_small_disk(self) -> bool:
        return any(KINDS[step.kind].fills_the_disk for step in self.steps)

    def acts(self) -> Iterator[list[Step]]:
        """Steps that run side by side, one such group after the other."""
        number = 0
        numbered = []
        for step in self.steps:
            number += not step.beside
            numbered.append((number, step))
        for _, group in groupby(numbered, key=lambda one: one[0]):
            yield [step for _, step in group]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *(f"  {step}" for step in self.steps)])


def drawn(seed: int) -> Schedule:
    rng = Random(seed)
    return Schedule(seed, tuple(NAMED[seed](rng) if seed in NAMED else _any(seed, rng)))


def _any(seed: int, rng: Random) -> Iterator[Step]:
    kinds = list(KINDS)
    first = kinds[(seed - 1) % len(kinds)]
    # What was lost would hide what comes after: such a step is the only one.
    more = (
        []
        if KINDS[first].loses
        else rng.sample([kind for kind in kinds if kind != first and not KINDS[kind].loses], MORE_STEPS)
    )
    for kind in (first, *more):
        yield _step(kind, rng)


def _step(kind: str, rng: Random, seconds: float | None = None, beside: bool = False, **how: object) -> Step:
    least, most = KINDS[kind].seconds
    after, lasts = round(rng.uniform(*PAUSE_SECONDS), 1), round(rng.uniform(least, most), 1)
    return Step(kind, after, lasts if seconds is None else seconds, beside, {**KINDS[kind].draw(rng), **how})


def _calm(_: Random) -> Iterator[Step]:
    """Without a fault the same load and the same judges find nothing either."""
    yield from ()


def _failover(rng: Random) -> Iterator[Step]:
    yield _step("commit outcome unknown", rng, 9.0, every=rng.randint(4, 9))
    yield _step("primary lost", rng, 1.0, beside=True)


def _partitions(rng: Random) -> Iterator[Step]:
    yield _step("brokers apart", rng, 7.0)
    yield _step("in-sync below minimum", rng, 8.0, how="cut")


NAMED = {CALM: _calm, FAILOVER: _failover, PARTITIONS: _partitions}
