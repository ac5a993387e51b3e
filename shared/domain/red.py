"""Red amounts: a full reversal mirrors its blue invoice (`-blue`); a partial one takes a share of what is left of it (R-14, D-26)."""

from shared.domain.tax import TaxSplit, split_gross


def red_split(left: TaxSplit, red_gross_fen: int, tax_percent: int) -> TaxSplit:
    """A red amount (negative) out of what is left of the blue one. What remains is `left + red`.

    The last one takes the exact rest, never a fresh rounding, and none before takes more net or tax than there is: a fen
    gained by rounding small amounts is never owed by the last.
    """
    assert 0 < -red_gross_fen <= left.gross_fen, "a red amount is negative and at most what is left"
    gross_fen = -red_gross_fen
    fresh_fen = split_gross(gross_fen, tax_percent).tax_fen
    tax_fen = min(max(fresh_fen, gross_fen - left.net_fen), left.tax_fen)
    return -TaxSplit(gross_fen, gross_fen - tax_fen, tax_fen)
