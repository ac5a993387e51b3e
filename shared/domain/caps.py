"""Limits of one invoice: so many lines, so much net. Parts are filled to the cap, oldest first; only the last is smaller (R-6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.tax import split_gross


@dataclass(frozen=True)
class Piece:
    """What one part takes of a line: all of it, or as much as its net cap has room for. `line` is its place in the list."""

    line: int
    gross_fen: int


def parts_under_caps(
    gross_fens: Sequence[int], tax_percent: int, line_cap: int, net_cap_fen: int | None = None
) -> list[list[Piece]]:
    """Lines, oldest first, into parts. Every fen of gross is in exactly one piece; tax is rounded for each piece by itself."""
    assert line_cap > 0, "an invoice has at least one line"
    assert net_cap_fen is None or net_cap_fen > 0, "no cap is None, not zero"
    assert all(gross_fen > 0 for gross_fen in gross_fens), "only amounts above zero are invoiced"
    cap_fen = sum(gross_fens) if net_cap_fen is None else net_cap_fen
    parts: list[list[Piece]] = []
    room_fen = 0
    for line, gross_fen in enumerate(gross_fens):
        left_fen = gross_fen
        while left_fen:
            if room_fen == 0 or len(parts[-1]) == line_cap:
                parts.append([])
                room_fen = cap_fen
            taken_fen = min(left_fen, largest_gross(tax_percent, room_fen))
            parts[-1].append(Piece(line, taken_fen))
            room_fen -= split_gross(taken_fen, tax_percent).net_fen
            left_fen -= taken_fen
    return parts


def largest_gross(tax_percent: int, net_cap_fen: int) -> int:
    """The largest gross whose net, rounded half up, does not exceed the cap."""
    return ((100 + tax_percent) * (2 * net_cap_fen + 1) - 1) // 200
