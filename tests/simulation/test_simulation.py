"""A hundred seeds without a violation, an exact replay, and faults that are counted when they happen."""

from pathlib import Path

import pytest
import structlog

from tests.simulation.run import Simulation
from tests.simulation.scene import Result
from tests.support.databases import Databases

pytestmark = pytest.mark.database

SEEDS = 100
ROOM = 10


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


async def seed(number: int, databases: Databases, folder: Path) -> Result:
    return await Simulation(number).run(databases, folder)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, ROOM))
async def test_no_seed_violates_an_invariant(first: int, databases: Databases, tmp_path: Path) -> None:
    results = [await seed(number, databases, tmp_path) for number in range(first, first + ROOM)]
    assert {one.seed: one.violations for one in results if one.violations} == {}


async def test_a_seed_replays_exactly(databases: Databases, tmp_path: Path) -> None:
    first, again = [await seed(3, databases, tmp_path) for _ in range(2)]
    assert first.log_hash == again.log_hash
    assert (first.invoices, first.happened) == (again.invoices, again.happened)
