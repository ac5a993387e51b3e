"""Partial red amounts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.red import red_split
from shared.domain.tax import TaxSplit, split_gross, total


def test_a_partial_red_amount_is_rounded_by_itself_and_leaves_the_rest() -> None:
    blue = split_gross(120_000, 6)
    red = red_split(blue, -20_000, 6)
    assert red == TaxSplit(-20_000, -18_868, -1_132)
    assert blue + red == TaxSplit(100_000, 94_340, 5_660)


def test_the_last_partial_red_amount_takes_the_exact_rest_and_not_a_fresh_rounding() -> None:
    left = split_gross(30, 6)
    reds = []
    for _ in range(3):
        reds.append(red_split(left, -10, 6))
        left += reds[-1]
    assert reds == [TaxSplit(-10, -9, -1), TaxSplit(-10, -9, -1), TaxSplit(-10, -10, 0)]
    assert left == TaxSplit(0, 0, 0)


def test_a_full_reversal_mirrors_a_blue_document_that_is_no_rounding_of_its_gross() -> None:
    blue = TaxSplit(30, 27, 3)
    assert red_split(blue, -30, 6) == -blue


def test_a_red_amount_takes_no_tax_that_is_not_there() -> None:
    assert red_split(TaxSplit(12, 12, 0), -9, 6) == TaxSplit(-9, -9, 0)


@pytest.mark.parametrize("red_gross_fen", [0, 5, -31])
def test_more_than_is_left_or_not_red_at_all_is_a_mistake_of_the_caller(red_gross_fen: int) -> None:
    with pytest.raises(AssertionError):
        red_split(TaxSplit(30, 28, 2), red_gross_fen, 6)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.sampled_from([1, 3, 5, 6, 9, 13]))
def test_however_it_is_cut_all_reds_together_are_the_blue_mirrored(cuts: list[int], tax_percent: int) -> None:
    blue = left = split_gross(sum(cuts), tax_percent)
    reds = []
    for cut in cuts:
        reds.append(red_split(left, -cut, tax_percent))
        left += reds[-1]
        assert left.net_fen >= 0
        assert left.tax_fen >= 0
    assert total(reds) == -blue
    assert all(red.net_fen <= 0 and red.tax_fen <= 0 for red in reds)
