"""Broken variants that a test of the database kills: that test, and nothing else, is run with the variant in place."""

import os
import subprocess
import sys

import pytest

from tests.simulation.elsewhere import ELSEWHERE
from tests.support.source import ROOT

FAILED = 1
"""What pytest ends with when tests ran and some failed; an error of its own is another number."""


@pytest.mark.database
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_mutant_is_killed_by_the_test_that_guards_it(name: str) -> None:
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.simulation.mutated",
            "-p",
            "no:cacheprovider",
            ELSEWHERE[name].killed_by,
        ],
        cwd=ROOT,
        env=quiet | {"MUTANT": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == FAILED, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert "NeverCalledError" not in run.stdout + run.stderr
