"""A schedule is its seed's, and nothing else's; together the first twenty play everything."""

import inspect
import subprocess
import sys

import pytest

from tests.nemesis import kinds
from tests.nemesis.kinds import KINDS
from tests.nemesis.schedule import FAILOVER, PARTITIONS, drawn

SEEDS = (*range(1, 41), FAILOVER, PARTITIONS)


def test_a_seed_is_the_same_schedule_in_another_process() -> None:
    """Also where strings hash otherwise."""
    program = "from tests.nemesis.schedule import drawn\nfor seed in (1, 7, 13, 101): print(drawn(seed))"
    argv = [sys.executable, "-c", program]
    told = {
        subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }
    assert told == {"".join(f"{drawn(seed)}\n" for seed in (1, 7, 13, 101))}


def test_a_recorded_schedule_is_replayed_as_it_was() -> None:
    assert str(drawn(FAILOVER)) == RECORDED


RECORDED = """\
seed 101
  commit outcome unknown (every 8) after 3.5 s, for 9.0 s
  primary lost beside it, after 3.8 s, for 1.0 s"""


def test_other_seeds_are_other_schedules() -> None:
    assert len({str(drawn(seed).steps) for seed in SEEDS}) == len(SEEDS)


def test_each_kind_is_played_by_one_of_the_first_twenty_seeds() -> None:
    assert {step.kind for seed in range(1, 21) for step in drawn(seed).steps} == {*KINDS}


def test_what_is_lost_is_lost_alone() -> None:
    """Else nobody could tell what another fault lost."""
    for schedule in map(drawn, SEEDS):
        assert schedule.synchronous or len(schedule.steps) == 1


def test_steps_beside_each_other_are_one_act() -> None:
    assert [[step.kind for step in act] for act in drawn(FAILOVER).acts()] == [
        ["commit outcome unknown", "primary lost"]
    ]
    assert [[step.kind for step in act] for act in drawn(PARTITIONS).acts()] == [
        ["brokers apart"],
        ["in-sync below minimum"],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_stands_in_the_table_that_people_read(kind: str) -> None:
    assert f"\n{kind.ljust(24)}| " in (inspect.getdoc(kinds) or "")
