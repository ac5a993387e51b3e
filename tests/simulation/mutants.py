"""Deliberately broken variants, all of them. One that nothing catches would show a promise that nobody keeps an eye on."""

from tests.simulation import broken_runtime, broken_services
from tests.simulation.mutant import Mutant, Rewritten

MUTANTS: dict[str, Mutant | Rewritten] = broken_runtime.MUTANTS | broken_services.MUTANTS
