"""Tax arithmetic on integer fen. Prices include tax: net is gross / (1 + rate), rounded half up; tax is the rest (R-2).

A rate is `tax_percent`, a whole number of percent, everywhere; as text (`0.06`) it exists in files only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

LINE_TOLERANCE_FEN = 6
"""|net x rate - tax| of one line at most 0.06; providers refuse more (R-11)."""
SUM_TOLERANCE_FEN = 127
"""The same, added up over a document: at most 1.27."""
Form = Literal["merged_line", "per_order_lines"]


@dataclass(frozen=True)
class TaxSplit:
    """A tax-inclusive amount and what it is made of. Red amounts are negative throughout."""

    gross_fen: int
    net_fen: int
    tax_fen: int

    def __add__(self, other: "TaxSplit") -> "TaxSplit":
        return TaxSplit(self.gross_fen + other.gross_fen, self.net_fen + other.net_fen, self.tax_fen + other.tax_fen)

    def __neg__(self) -> "TaxSplit":
        return TaxSplit(-self.gross_fen, -self.net_fen, -self.tax_fen)


def split_gross(gross_fen: int, tax_percent: int) -> TaxSplit:
    """Gross never changes, and a red amount mirrors its blue one. No Chinese rate has ties, so half up is not a choice that matters."""
    sign = -1 if gross_fen < 0 else 1
    divisor = 100 + tax_percent
    net_fen = sign * ((abs(gross_fen) * 200 + divisor) // (2 * divisor))
    return TaxSplit(gross_fen, net_fen, gross_fen - net_fen)


def total(splits: Iterable[TaxSplit]) -> TaxSplit:
    """The header of a document is the sum of its lines, never a rounding of its own."""
    return sum(splits, TaxSplit(0, 0, 0))


def tax_error_hundredths(net_fen: int, tax_fen: int, tax_percent: int) -> int:
    """|net x rate - tax| in hundredths of a fen: exact."""
    return abs(net_fen * tax_percent - tax_fen * 100)


def line_within_tolerance(net_fen: int, tax_fen: int, tax_percent: int) -> bool:
    return tax_error_hundredths(net_fen, tax_fen, tax_percent) <= LINE_TOLERANCE_FEN * 100


def sum_error_hundredths(splits: Iterable[TaxSplit], tax_percent: int) -> int:
    return sum(tax_error_hundredths(one.net_fen, one.tax_fen, tax_percent) for one in splits)


def sum_within_tolerance(splits: Iterable[TaxSplit], tax_percent: int, tolerance_fen: int = SUM_TOLERANCE_FEN) -> bool:
    """The cumulative check of older channels. Hundreds of tiny lines break it, a merged one never does."""
    return sum_error_hundredths(splits, tax_percent) <= tolerance_fen * 100


def merged_line(gross_fens: Iterable[int], tax_percent: int) -> TaxSplit:
    return split_gross(sum(gross_fens), tax_percent)


def line_for_each(gross_fens: Iterable[int], tax_percent: int) -> list[TaxSplit]:
    return [split_gross(gross_fen, tax_percent) for gross_fen in gross_fens]


def recommended_form(
    gross_fens: Sequence[int],
    tax_percent: int,
    line_cap: int,
    one_line_per_order: bool = False,
    tolerance_fen: int = SUM_TOLERANCE_FEN,
) -> Form:
    """Orders are merged into one line, unless a line for each is wanted, fits, and passes the tolerances (D-14)."""
    if not one_line_per_order or len(gross_fens) > line_cap:
        return "merged_line"
    lines = line_for_each(gross_fens, tax_percent)
    return "per_order_lines" if sum_within_tolerance(lines, tax_percent, tolerance_fen) else "merged_line"
