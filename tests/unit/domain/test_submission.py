"""The figures of a document before it is sent."""

from decimal import Decimal

import pytest

from shared.domain.price import unit_price
from shared.domain.submission import FiguredLine, check_figures
from shared.domain.tax import TaxSplit, split_gross, total

GOOD = FiguredLine(split_gross(10_000, 6), Decimal(3), unit_price(9434, Decimal(3)))
BARE = FiguredLine(split_gross(38_122, 6))


def codes(*lines: FiguredLine, header: TaxSplit | None = None) -> list[tuple[str, str]]:
    made = header or total(line.split for line in lines)
    return [(finding.code, finding.value) for finding in check_figures(lines, made, 6)]


def test_a_document_made_of_our_own_lines_passes() -> None:
    assert codes(GOOD, BARE) == []
    assert codes(FiguredLine(-GOOD.split)) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (FiguredLine(TaxSplit(100_007, 94_340, 5_667)), "LINE_TAX_OFF"),
        (FiguredLine(TaxSplit(100_001, 94_340, 5_660)), "TOTALS_OFF"),
        (FiguredLine(GOOD.split, Decimal(3), Decimal("31.46")), "LINE_PRICE_OFF"),
        (FiguredLine(GOOD.split, Decimal(3)), "LINE_PRICE_OFF"),
        (FiguredLine(GOOD.split, None, Decimal(1)), "LINE_PRICE_OFF"),
    ],
)
def test_a_line_that_a_platform_would_refuse_is_named_by_its_place(line: FiguredLine, code: str) -> None:
    assert codes(BARE, line) == [(code, "2")]


def test_rounding_adds_up_to_at_most_the_tolerance_of_the_document() -> None:
    assert codes(*[FiguredLine(split_gross(10, 6))] * 276) == []
    assert codes(*[FiguredLine(split_gross(10, 6))] * 300) == [("SUM_TAX_OFF", "1.3800")]


@pytest.mark.parametrize("header", [split_gross(48_123, 6), TaxSplit(48_122, 45_399, 2_723), TaxSplit(0, 0, 0)])
def test_a_header_is_exactly_the_sum_of_its_lines(header: TaxSplit) -> None:
    assert codes(GOOD, BARE, header=header) == [("TOTALS_OFF", str(header.gross_fen))]


def test_a_document_without_lines_is_none() -> None:
    assert codes() == [("TOTALS_OFF", "0")]
