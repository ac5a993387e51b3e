"""The lives that docs/states shows: every word of a table has its meaning, and nothing is explained that is not in a table."""

import pytest

from deploy.reference.states import LIVES, Life, page

A_LIFE = Life(
    title="A lamp",
    about="It is switched.",
    first="off",
    table={("off", "pressed"): "on", ("on", "pressed"): "off", ("on", "dropped"): "broken", ("on", "shaken"): "broken"},
    statuses={"off": "dark", "on": "bright", "broken": "dark for ever"},
    events={"pressed": "its button", "dropped": "on the floor", "shaken": "by a child"},
)


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
def test_every_word_of_a_table_has_its_meaning(life: Life) -> None:
    assert set(life.statuses) == {status for status, _ in life.table} | set(life.table.values()) | {life.first}
    assert set(life.events) == {event for _, event in life.table}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
def test_every_status_can_be_reached(life: Life) -> None:
    assert set(life.statuses) - set(life.table.values()) <= {life.first}


def test_a_page_draws_one_arrow_between_two_statuses_and_shows_ends() -> None:
    lines = page(A_LIFE).splitlines()
    drawn = lines[lines.index("stateDiagram-v2") + 1 : lines.index("```", 6)]
    assert [line.strip() for line in drawn] == [
        "[*] --> off",
        "off --> on: pressed",
        "on --> off: pressed",
        "on --> broken: dropped, shaken",
        "broken --> [*]",
    ]
    assert "| **on** | off | broken | broken |" in lines
    assert "| **broken** | · | · | · |" in lines
    assert "| `broken` | dark for ever |" in lines
