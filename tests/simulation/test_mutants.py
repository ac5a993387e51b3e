"""Each broken variant is caught: one that catches nothing proves nothing."""

from pathlib import Path

import pytest
import structlog

from tests.simulation.mutant import Mutant, NeverCalledError
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Simulation
from tests.simulation.scene import Result
from tests.support.databases import Databases


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


async def seed(number: int, databases: Databases, folder: Path) -> Result:
    return await Simulation(number).run(databases, folder)


@pytest.mark.database
@pytest.mark.parametrize("name", MUTANTS)
async def test_a_mutant_is_killed_by_the_invariant_that_guards_it(
    name: str, databases: Databases, tmp_path: Path
) -> None:
    mutant = MUTANTS[name]
    assert (await seed(mutant.seed, databases, tmp_path)).violations == {}
    with mutant.applied():
        result = await seed(mutant.seed, databases, tmp_path)
    assert mutant.killed_by in result.violations


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("services.invoicing.issuing.rules.gone", AttributeError),
        ("services.invoicing.gone.decide", AttributeError),
        ("services.invoicing.issuing.rules.decide", NeverCalledError),
    ],
    ids=["the name is gone", "the module is gone", "nobody calls it"],
)
def test_a_mutant_that_changes_nothing_fails_loudly(target: str, error: type[Exception]) -> None:
    with pytest.raises(error), Mutant(target, print, "", 0).applied():
        pass
