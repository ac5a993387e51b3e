"""A plugin of pytest: runs its tests with the broken variant that MUTANT names (`elsewhere.py`)."""

import os
from contextlib import ExitStack

import pytest

from tests.simulation.elsewhere import ELSEWHERE

_applied = ExitStack()


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001
    _applied.enter_context(ELSEWHERE[os.environ["MUTANT"]].change.applied())


def pytest_unconfigure(config: pytest.Config) -> None:  # noqa: ARG001
    """A variant that nothing met raises here."""
    _applied.close()
