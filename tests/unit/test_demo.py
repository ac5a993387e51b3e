"""What a run of the demo leaves for the next one: beside the data it belongs to, with the same accounts, keys and ids."""

import json
from pathlib import Path

import pytest

from deploy.demo import kept
from deploy.demo.kept import Kept
from deploy.demo.scenario import events


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAIPIAO_VAR", str(tmp_path / "var"))
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


def data_in(var: Path, name: str) -> None:
    """As `make run` says which data it uses."""
    (var.parent / name).mkdir(exist_ok=True)
    (var / "endpoints.json").write_text(json.dumps({"state": str(var.parent / name)}))


def test_each_data_folder_has_a_story_of_its_own_and_gets_it_back(var: Path) -> None:
    data_in(var, "one-node")
    one = Kept(accounts=[{"account_id": 1001, "api_key": "kp_one"}], trace_id="a", whole=True, requests=[(1001, 5)])
    kept.write(one)
    data_in(var, "three-nodes")
    assert kept.read() == Kept(), "other data: nothing is told there"
    kept.write(Kept(accounts=[{"account_id": 1001, "api_key": "kp_three"}]))
    data_in(var, "one-node")
    assert kept.read().key_of(1001) == "kp_one"
    assert (kept.read().whole, kept.read().trace_id) == (True, "a")


def test_people_find_it_in_var_and_nobody_else_can_read_it(var: Path) -> None:
    data_in(var, "one-node")
    kept.write(Kept(accounts=[{"account_id": 1001, "api_key": "kp_one"}]))
    shown = var / "demo.json"
    assert json.loads(shown.read_text())["accounts"] == [{"account_id": 1001, "api_key": "kp_one"}]
    assert shown.stat().st_mode & 0o077 == 0


def test_what_cannot_be_read_is_nothing(var: Path) -> None:
    (var / "demo.json").write_text("{")
    assert kept.read() == Kept()


@pytest.mark.parametrize("name", ["accounts.jsonl", "billing.jsonl"])
def test_the_events_of_the_demo_are_the_same_each_time(name: str) -> None:
    assert events(name) == events(name)
    assert len(events(name)) > 5
