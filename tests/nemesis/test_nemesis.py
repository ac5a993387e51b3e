"""Two short schedules of what matters most: a failover while commits get no answer, and brokers that do not reach each other."""

from collections.abc import Iterator

import pytest

from tests.nemesis.play import played
from tests.nemesis.schedule import FAILOVER, PARTITIONS, drawn
from tests.nemesis.stack import NemesisStack

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("live"),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[NemesisStack]:
    running = NemesisStack.begin()
    yield running
    running.stop()


@pytest.mark.parametrize(("seed", "first"), [(FAILOVER, 901), (PARTITIONS, 911)])
async def test_nothing_is_lost_doubled_or_stuck(stack: NemesisStack, seed: int, first: int) -> None:
    told: list[str] = []
    schedule = drawn(seed)
    verdict = await played(stack, schedule, told.append, range(first, first + 2))
    assert verdict.violations == [], told
    assert verdict.faults == len(schedule.steps)
    assert verdict.documents, "a schedule without a load proves nothing"
