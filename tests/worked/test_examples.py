"""The worked examples as tests; and the proof that the runner can fail: every expected value, changed, is noticed."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import Databases
from tests.worked.compare import differences
from tests.worked.language import INPUTS, NotOfferedError
from tests.worked.runner import read, run

pytestmark = pytest.mark.database

EXAMPLES = {example["id"]: example for example in read(Path(__file__).parent / "worked_examples.json")}
NOT_YET = {
    "title applications": ("EX-65",),
    "auto-invoicing": ("EX-66", "EX-68", "EX-69"),
}
"""This list only shrinks."""
WAITING = {name for names in NOT_YET.values() for name in names}
PASSING = sorted(set(EXAMPLES) - WAITING)


def perturbed(expected: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401
    """Every way to change one expected value: its place, and the whole of `expected` with that value changed."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            for where, changed in perturbed(value, (*path, key)):
                yield where, {**expected, key: changed}
    elif isinstance(expected, list):
        for place, value in enumerate(expected):
            for where, changed in perturbed(value, (*path, place)):
                yield where, [*expected[:place], changed, *expected[place + 1 :]]
    elif isinstance(expected, bool):
        yield path, not expected
    elif isinstance(expected, int):
        yield path, expected + 1
    elif isinstance(expected, str):
        yield path, f"{expected}X"
    else:
        yield path, 1


def asserted(path: tuple[Any, ...]) -> bool:
    return (path[0], path[-1]) not in INPUTS


@pytest.mark.parametrize("name", PASSING)
async def test_an_example_holds_and_every_changed_expectation_is_noticed(
    name: str, databases: Databases, tmp_path: Path
) -> None:
    example = EXAMPLES[name]
    verdict = await run(example, databases, tmp_path)
    assert verdict.differences == []
    changes = [(path, expected) for path, expected in perturbed(example["expected"]) if asserted(path)]
    assert changes or not any(example["expected"].values())
    for path, expected in changes:
        changed = copy.deepcopy(example) | {"expected": expected}
        assert _noticed(changed, verdict.played), f"{name}: nobody noticed that {path} was changed"


def _noticed(example: dict[str, Any], played: Any) -> bool:  # noqa: ANN401
    try:
        return bool(differences(example, played))
    except NotOfferedError:
        return True


@pytest.mark.parametrize("name", sorted(WAITING))
async def test_an_example_that_waits_for_a_feature_fails(name: str, databases: Databases, tmp_path: Path) -> None:
    """When it passes, take it off the list."""
    assert not (await run(EXAMPLES[name], databases, tmp_path)).passed


async def test_a_complete_list_notices_what_is_missing_and_what_is_too_much(
    databases: Databases, tmp_path: Path
) -> None:
    verdict = await run(EXAMPLES["EX-34"], databases, tmp_path)
    invoices = EXAMPLES["EX-34"]["expected"]["invoices"]
    for changed in (invoices[:-1], [*invoices, invoices[0]]):
        example = EXAMPLES["EX-34"] | {"expected": {"invoices": changed}}
        assert differences(example, verdict.played)


async def test_an_unknown_word_fails_the_example(databases: Databases, tmp_path: Path) -> None:
    for change in (
        {"expected": {"rainfall": 1}},
        {"given": {"moon": 1}},
        {"events": [{"at": "2026-01-01T00:00:00Z", "type": "rain"}]},
    ):
        verdict = await run(EXAMPLES["EX-01"] | change, databases, tmp_path)
        assert verdict.differences[0].startswith("unknown word")
