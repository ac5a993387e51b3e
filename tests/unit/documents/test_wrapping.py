"""Breaking and fitting text: nothing is lost while it fits, nothing is wider or higher than its box."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoicing.invoice_files.rendering.table import Room, pages_of
from services.invoicing.invoice_files.rendering.wrapping import fit, fit_line, wrap

TEXTS = st.text(alphabet="甲乙丙，。；a1 -\n", max_size=200)
HEIGHTS = st.lists(st.floats(min_value=5, max_value=60), min_size=1, max_size=80)
ROOM = Room(only=130, full=190, last=115)


def width(text: str, size: float) -> float:
    """Hanzi are as wide as they are high, others half of it."""
    return sum(size if ord(sign) > 255 else size / 2 for sign in text)


@given(TEXTS)
def test_wrapped_lines_fit_and_keep_every_character(text: str) -> None:
    lines = wrap(text, 50, 10, width)
    assert "".join(lines) == text.replace("\n", "")
    assert all(width(line, 10) <= 60 for line in lines), "a closing mark may hang by its own size"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("甲乙丙甲乙丙", ["甲乙丙甲乙", "丙"]),
        ("甲乙丙甲乙，丙", ["甲乙丙甲乙，", "丙"]),
        ("甲乙 ecs.g7", ["甲乙 ", "ecs.g7"]),
        ("abcdefghijklmno", ["abcdefghij", "klmno"]),
        ("甲\n乙", ["甲", "乙"]),
        ("", [""]),
    ],
)
def test_where_a_line_breaks(text: str, lines: list[str]) -> None:
    assert wrap(text, 50, 10, width) == lines


@given(TEXTS)
def test_fitted_text_is_never_higher_than_its_box(text: str) -> None:
    fitted = fit(text, 50, 40, size=10, least=4, measure=width)
    assert fitted.height <= 40
    assert 4 <= fitted.size <= 10
    assert "".join(fitted.lines) == text.replace("\n", "") or fitted.lines[-1].endswith("…")


@given(TEXTS)
def test_one_line_is_never_wider_than_its_room(text: str) -> None:
    fitted = fit_line(text, 50, size=10, least=4, measure=width)
    assert len(fitted.lines) == 1
    assert width(fitted.lines[0], fitted.size) <= 50.1


@given(HEIGHTS)
def test_each_row_stands_on_one_page_and_no_page_is_too_full_or_empty(heights: list[float]) -> None:
    pages = pages_of(heights, ROOM)
    assert [row for page in pages for row in page] == list(range(len(heights)))
    assert all(len(page) for page in pages)
    for page in pages[:-1]:
        assert sum(heights[row] for row in page) <= ROOM.full
    assert sum(heights[row] for row in pages[-1]) <= (ROOM.only if len(pages) == 1 else ROOM.last)
