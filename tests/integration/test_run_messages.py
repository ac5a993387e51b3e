"""What `make run` says: lines with the time, only addresses that answer, which data it uses; and `DEMO=0`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import options, supervisor
from deploy.local.stack import Stack
from tests.integration import small_checkout
from tests.integration.small_checkout import ELSEWHERE, SmallCheckout

pytestmark = pytest.mark.live

TIMED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} ")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[SmallCheckout]:
    made = small_checkout.make(tmp_path / "checkout")
    yield made
    made.door("stop")
    made.door("clean-data")


@pytest.mark.parametrize("no", ["0", "false"])
def test_a_run_without_the_demo_starts_and_says_so(no: str, checkout: SmallCheckout) -> None:
    done = checkout.door("run", RUN_EXIT="1", DEMO=no, **ELSEWHERE)
    assert done.returncode == 0, done.stderr
    assert "demo of http://" not in done.stdout
    assert "without the demo, as DEMO says" in done.stdout


def test_a_run_says_when_what_happened_which_data_it_has_and_what_answers(checkout: SmallCheckout) -> None:
    done = checkout.door("run", DETACH="1", **ELSEWHERE)
    assert done.returncode == 0, done.stderr
    (ready,) = [line for line in done.stdout.splitlines() if "everything is ready after" in line]
    (look,) = [line for line in done.stdout.splitlines() if line.startswith("API ")]
    known = checkout.endpoints()
    assert TIMED.match(ready)
    assert ready.endswith(f"with the data in {known['state']}")
    assert look.startswith(f"API {known['gateway']}/v1, described at {known['gateway']}/openapi.json ")
    assert "console" not in done.stdout


@pytest.mark.parametrize(("nodes", "says"), [("1", ""), ("3", "; KAFKA_NODES=3 has its own, those of a single node")])
def test_three_nodes_say_that_their_data_are_others(nodes: str, says: str, tmp_path: Path) -> None:
    asked = options.read(tmp_path, {"KAFKA_NODES": nodes, "HOME": str(tmp_path)})
    stack = Stack(asked, supervisor.state_of(asked), None)
    assert supervisor._other_data(stack).startswith(says)
    assert stack.state.name.endswith("-3-nodes") == (nodes == "3")
