"""Limits of one invoice: so many lines, so much net. Parts are filled to the cap, oldest first; only the last is smaller (R-6)."""

from collections.abc import Sequence

from shared.domain.tax import split_gross


def by_line_cap(gross_fens: Sequence[int], line_cap: int) -> list[list[int]]:
    return [list(gross_fens[start : start + line_cap]) for start in range(0, len(gross_fens), line_cap)]


def by_net_cap(gross_fen: int, tax_percent: int, net_cap_fen: int) -> list[int]:
    """Gross parts of one line, each with a net of at most the cap. They add up exactly."""
    most = largest_gross(tax_percent, net_cap_fen)
    full, rest = divmod(gross_fen, most)
    return [most] * full + ([rest] if rest else [])


def largest_gross(tax_percent: int, net_cap_fen: int) -> int:
    """The largest gross whose net does not exceed the cap."""
    gross_fen = net_cap_fen * (100 + tax_percent) // 100
    while split_gross(gross_fen + 1, tax_percent).net_fen <= net_cap_fen:
        gross_fen += 1
    while split_gross(gross_fen, tax_percent).net_fen > net_cap_fen:
        gross_fen -= 1
    return gross_fen
