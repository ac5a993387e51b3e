"""Serials towards the tax platform."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.identifiers import ALPHABET, LARGEST_PART_ID, Kind, Serial, parse_serial, serial_of

PARTS = st.integers(1, LARGEST_PART_ID)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["B", "R"])
GENERATIONS = st.integers(0, 32**4 - 1)
VALID = st.builds(serial_of, PARTS, KINDS, GENERATIONS)


@given(PARTS, KINDS, GENERATIONS)
def test_a_serial_has_twenty_capitals_or_digits_and_leads_back_to_its_part(
    part_id: int, kind: Kind, generation: int
) -> None:
    serial = serial_of(part_id, kind, generation)
    assert re.fullmatch(r"[0-9A-Z]{20}", serial)
    assert parse_serial(serial) == Serial(part_id, kind, generation)


def test_the_same_part_has_the_same_serial_and_every_difference_shows() -> None:
    serials = {serial_of(part, kind, generation) for part in (1, 2) for kind in ("B", "R") for generation in (1, 2)}
    assert len(serials) == 8
    assert serial_of(1, "B", 1) in serials


@given(VALID, st.integers(0, 19), st.sampled_from(ALPHABET))
def test_a_single_wrong_character_is_noticed(serial: str, place: int, character: str) -> None:
    wrong = serial[:place] + character + serial[place + 1 :]
    assert wrong == serial or parse_serial(wrong) is None


@given(st.text(max_size=25) | st.text(ALPHABET + "ILOU", min_size=20, max_size=20).map(lambda text: f"KPB{text[3:]}"))
def test_any_text_is_a_serial_of_ours_or_none(text: str) -> None:
    serial = parse_serial(text)
    assert serial is None or serial_of(serial.part_id, serial.kind, serial.generation) == text


@pytest.mark.parametrize(("part_id", "generation"), [(0, 1), (LARGEST_PART_ID + 1, 1), (1, -1), (1, 32**4)])
def test_what_does_not_fit_is_a_mistake_of_the_caller(part_id: int, generation: int) -> None:
    with pytest.raises(AssertionError):
        serial_of(part_id, "B", generation)
