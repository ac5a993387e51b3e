"""The figures of an invoice before it is sent: what a tax platform would refuse, found by us first (R-11)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.domain.finding import Finding
from shared.domain.price import price_within_tolerance
from shared.domain.tax import TaxSplit, line_within_tolerance, sum_error_hundredths, sum_within_tolerance, total


@dataclass(frozen=True)
class FiguredLine:
    """The figures of one line; quantity and price are shown together or not at all."""

    split: TaxSplit
    quantity: Decimal | None = None
    price: Decimal | None = None


def check_figures(lines: Sequence[FiguredLine], header: TaxSplit, tax_percent: int) -> list[Finding]:
    """Lines first, then the invoice. Texts, names and codes are checked where they are entered."""
    splits = [line.split for line in lines]
    findings = [finding for place, line in enumerate(lines, 1) for finding in _line(place, line, tax_percent)]
    if not sum_within_tolerance(splits, tax_percent):
        yuan = Decimal(sum_error_hundredths(splits, tax_percent)).scaleb(-4)
        text = f"Rounding adds up to {yuan} over {len(lines)} lines; at most 1.27 is accepted. Merge lines."
        findings.append(Finding("SUM_TAX_OFF", str(yuan), text))
    if not lines or total(splits) != header:
        text = "The header is not the sum of its lines, to the fen. Make it of the lines; round nothing twice."
        findings.append(Finding("TOTALS_OFF", str(header.gross_fen), text))
    return findings


def _line(place: int, line: FiguredLine, tax_percent: int) -> Iterator[Finding]:
    split = line.split
    if split.net_fen + split.tax_fen != split.gross_fen:
        yield Finding("TOTALS_OFF", str(place), f"Net and tax of line {place} are not its gross.")
    if not line_within_tolerance(split.net_fen, split.tax_fen, tax_percent):
        text = f"The tax of line {place} is not {tax_percent}% of its net within 0.06."
        yield Finding("LINE_TAX_OFF", str(place), text)
    if not _priced(line):
        text = f"Quantity times price of line {place} is not its net within 0.01. Correct them or leave both empty."
        yield Finding("LINE_PRICE_OFF", str(place), text)


def _priced(line: FiguredLine) -> bool:
    if line.quantity is None or line.price is None:
        return line.quantity is line.price
    return price_within_tolerance(line.split.net_fen, line.quantity, line.price)
