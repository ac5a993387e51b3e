"""Tax arithmetic on integer fen. Prices include tax: net is gross / (1 + rate), rounded half up; tax is the rest (R-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

LINE_TOLERANCE_FEN = 6
"""|net x rate - tax| of one line at most 0.06; providers refuse more (R-11)."""
SUM_TOLERANCE_FEN = 127
PRICE_DECIMALS = Decimal("1e-13")


@dataclass(frozen=True)
class TaxSplit:
    gross_fen: int
    net_fen: int
    tax_fen: int


def split_gross(gross_fen: int, tax_percent: int) -> TaxSplit:
    """Gross never changes. A red amount mirrors its blue one. The rounding mode can't matter at Chinese rates: ties do not occur."""
    sign = -1 if gross_fen < 0 else 1
    divisor = 100 + tax_percent
    net_fen = sign * ((abs(gross_fen) * 200 + divisor) // (2 * divisor))
    return TaxSplit(gross_fen, net_fen, gross_fen - net_fen)


def tax_error_hundredths(net_fen: int, tax_fen: int, tax_percent: int) -> int:
    """|net x rate - tax| in hundredths of a fen: exact."""
    return abs(net_fen * tax_percent - tax_fen * 100)


def line_within_tolerance(net_fen: int, tax_fen: int, tax_percent: int) -> bool:
    return tax_error_hundredths(net_fen, tax_fen, tax_percent) <= LINE_TOLERANCE_FEN * 100


def sum_within_tolerance(splits: Sequence[TaxSplit], tax_percent: int) -> bool:
    """The cumulative check of older channels: 1.27 over the whole document."""
    return sum(tax_error_hundredths(one.net_fen, one.tax_fen, tax_percent) for one in splits) <= SUM_TOLERANCE_FEN * 100


def merged_line(gross_fens: Sequence[int], tax_percent: int) -> TaxSplit:
    return split_gross(sum(gross_fens), tax_percent)


def line_for_each(gross_fens: Sequence[int], tax_percent: int) -> list[TaxSplit]:
    return [split_gross(gross_fen, tax_percent) for gross_fen in gross_fens]


def recommended_form(
    gross_fens: Sequence[int], tax_percent: int, line_cap: int, one_line_per_order: bool = False
) -> str:
    """Orders are merged into one line, unless a line for each is wanted, fits, and passes the tolerances (D-14)."""
    lines = line_for_each(gross_fens, tax_percent)
    fits = len(lines) <= line_cap and sum_within_tolerance(lines, tax_percent)
    return "per_order_lines" if one_line_per_order and fits else "merged_line"


def unit_price(net_fen: int, quantity: Decimal) -> Decimal:
    """The price without tax, 13 decimals."""
    return (Decimal(net_fen) / 100 / quantity).quantize(PRICE_DECIMALS, ROUND_HALF_UP)


def price_error_yuan(net_fen: int, quantity: Decimal, price: Decimal) -> Decimal:
    """|quantity x price - net|, which may be 0.01 at most."""
    return abs(quantity * price - Decimal(net_fen) / 100)


def red_split(blue: TaxSplit, already: TaxSplit, red_gross_fen: int, tax_percent: int) -> TaxSplit:
    """A partial red amount (negative). The last one takes the exact rest, never a fresh rounding (R-14)."""
    if already.gross_fen + red_gross_fen + blue.gross_fen == 0:
        return left(left(blue, already), TaxSplit(0, 0, 0), negate=True)
    return split_gross(red_gross_fen, tax_percent)


def left(blue: TaxSplit, red: TaxSplit, negate: bool = False) -> TaxSplit:
    sign = -1 if negate else 1
    return TaxSplit(
        sign * (blue.gross_fen + red.gross_fen),
        sign * (blue.net_fen + red.net_fen),
        sign * (blue.tax_fen + red.tax_fen),
    )
