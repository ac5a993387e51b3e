"""Net, tax and gross of lines and documents."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.tax import (
    TaxSplit,
    line_for_each,
    line_within_tolerance,
    merged_line,
    recommended_form,
    split_gross,
    sum_error_hundredths,
    sum_within_tolerance,
    tax_error_hundredths,
    total,
)

RATES = st.sampled_from([0, 1, 3, 5, 6, 9, 13])
GROSS = st.integers(0, 10**14)


@pytest.mark.parametrize(
    ("gross_fen", "tax_percent", "net_fen", "tax_fen"),
    [
        (106_000, 6, 100_000, 6_000),
        (100_000, 6, 94_340, 5_660),
        (30_000, 6, 28_302, 1_698),
        (109_000, 9, 100_000, 9_000),
        (10_000, 9, 9_174, 826),
        (113_000, 13, 100_000, 13_000),
        (50_000, 13, 44_248, 5_752),
        (1_060_000, 6, 1_000_000, 60_000),
        (53_000_000, 6, 50_000_000, 3_000_000),
        (38_122, 6, 35_964, 2_158),
        (659_800, 13, 583_894, 75_906),
        (561, 3, 545, 16),
        (1, 6, 1, 0),
        (8, 6, 8, 0),
        (9, 6, 8, 1),
        (10, 6, 9, 1),
        (1, 13, 1, 0),
        (4, 13, 4, 0),
        (5, 13, 4, 1),
        (100, 0, 100, 0),
        (0, 6, 0, 0),
        (-120_000, 6, -113_208, -6_792),
    ],
)
def test_a_gross_amount_is_split_into_net_and_tax(gross_fen: int, tax_percent: int, net_fen: int, tax_fen: int) -> None:
    assert split_gross(gross_fen, tax_percent) == TaxSplit(gross_fen, net_fen, tax_fen)


@given(GROSS, RATES)
def test_net_and_tax_are_the_gross_and_a_red_amount_mirrors_its_blue_one(gross_fen: int, tax_percent: int) -> None:
    blue = split_gross(gross_fen, tax_percent)
    assert blue.net_fen + blue.tax_fen == gross_fen
    assert blue.tax_fen >= 0
    assert split_gross(-gross_fen, tax_percent) == -blue


@given(GROSS, RATES)
def test_the_rounding_mode_does_not_matter_at_chinese_rates(gross_fen: int, tax_percent: int) -> None:
    exact = Decimal(gross_fen) * 100 / (100 + tax_percent)
    modes = {int(exact.quantize(Decimal(1), mode)) for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    tax_first = gross_fen - int((gross_fen - exact).quantize(Decimal(1), ROUND_HALF_UP))
    assert modes | {tax_first} == {split_gross(gross_fen, tax_percent).net_fen}


@given(GROSS, RATES)
def test_a_rounding_is_always_far_within_the_tolerance_of_a_line(gross_fen: int, tax_percent: int) -> None:
    split = split_gross(gross_fen, tax_percent)
    assert tax_error_hundredths(split.net_fen, split.tax_fen, tax_percent) <= 57
    assert line_within_tolerance(split.net_fen, split.tax_fen, tax_percent)


@pytest.mark.parametrize(("tax_fen", "ok"), [(5660, True), (5666, True), (5667, False), (5655, True), (5654, False)])
def test_a_line_may_be_six_fen_off(tax_fen: int, ok: bool) -> None:
    assert line_within_tolerance(94_340, tax_fen, 6) is ok


def test_merging_lines_moves_a_fen_between_net_and_tax_and_never_the_gross() -> None:
    lines = line_for_each([10, 10, 10], 6)
    assert lines == [TaxSplit(10, 9, 1)] * 3
    assert (total(lines), merged_line([10, 10, 10], 6)) == (TaxSplit(30, 27, 3), TaxSplit(30, 28, 2))


@given(st.lists(GROSS, max_size=50), RATES)
def test_one_line_or_many_the_gross_is_the_same(gross_fens: list[int], tax_percent: int) -> None:
    assert total(line_for_each(gross_fens, tax_percent)).gross_fen == merged_line(gross_fens, tax_percent).gross_fen


def test_three_hundred_tiny_lines_break_the_cumulative_tolerance_and_merging_mends_it() -> None:
    tiny = [10] * 300
    lines = line_for_each(tiny, 6)
    assert (total(lines), sum_error_hundredths(lines, 6)) == (TaxSplit(3000, 2700, 300), 13_800)
    assert not sum_within_tolerance(lines, 6)
    assert merged_line(tiny, 6) == TaxSplit(3000, 2830, 170)
    assert sum_within_tolerance([merged_line(tiny, 6)], 6)


def test_the_cumulative_tolerance_is_inclusive_and_may_be_another() -> None:
    assert sum_within_tolerance([TaxSplit(127, 0, 127)], 6)
    assert not sum_within_tolerance([TaxSplit(128, 0, 128)], 6)
    assert sum_within_tolerance([TaxSplit(128, 0, 128)], 6, tolerance_fen=128)


@pytest.mark.parametrize(
    ("gross_fens", "line_cap", "one_line_per_order", "form"),
    [
        ([10, 10, 10], 2000, False, "merged_line"),
        ([10, 10, 10], 2000, True, "per_order_lines"),
        ([10, 10, 10], 2, True, "merged_line"),
        ([10] * 300, 2000, True, "merged_line"),
        ([106] * 2000, 2000, True, "per_order_lines"),
        ([106] * 2001, 2000, True, "merged_line"),
    ],
)
def test_a_line_for_each_order_must_be_asked_for_and_fit_and_pass(
    gross_fens: list[int], line_cap: int, one_line_per_order: bool, form: str
) -> None:
    assert recommended_form(gross_fens, 6, line_cap, one_line_per_order) == form
