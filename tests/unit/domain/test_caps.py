"""Line cap and net cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.caps import Piece, largest_gross, parts_under_caps
from shared.domain.tax import split_gross

RATES = st.sampled_from([0, 1, 3, 5, 6, 9, 13])


def grosses(parts: list[list[Piece]]) -> list[int]:
    return [sum(piece.gross_fen for piece in part) for part in parts]


def test_four_and_a_half_thousand_lines_are_three_invoices_and_merged_they_are_one() -> None:
    parts = parts_under_caps([106] * 4500, 6, line_cap=2000)
    assert [len(part) for part in parts] == [2000, 2000, 500]
    assert grosses(parts) == [212_000, 212_000, 53_000]
    assert grosses(parts_under_caps([477_000], 6, line_cap=2000)) == [477_000]


def test_a_net_cap_cuts_a_line_and_the_gross_parts_add_up() -> None:
    parts = parts_under_caps([250_000], 6, line_cap=2000, net_cap_fen=100_000)
    assert parts == [[Piece(0, 106_000)], [Piece(0, 106_000)], [Piece(0, 38_000)]]


def test_the_rest_of_a_cut_line_opens_the_next_part_and_others_follow() -> None:
    parts = parts_under_caps([106, 106, 53], 6, line_cap=2000, net_cap_fen=150)
    assert parts == [[Piece(0, 106), Piece(1, 53)], [Piece(1, 53), Piece(2, 53)]]


def test_nothing_to_invoice_is_no_part() -> None:
    assert parts_under_caps([], 6, line_cap=2000) == []


@pytest.mark.parametrize(("line_cap", "net_cap_fen", "gross_fen"), [(0, None, 1), (1, 0, 1), (1, None, 0)])
def test_a_cap_or_an_amount_of_nothing_is_a_mistake_of_the_caller(
    line_cap: int, net_cap_fen: int | None, gross_fen: int
) -> None:
    with pytest.raises(AssertionError):
        parts_under_caps([gross_fen], 6, line_cap, net_cap_fen)


@given(st.lists(st.integers(1, 5000), max_size=30), RATES, st.integers(1, 7), st.none() | st.integers(200, 9000))
def test_every_fen_is_in_one_part_and_every_part_but_the_last_is_full(
    gross_fens: list[int], tax_percent: int, line_cap: int, net_cap_fen: int | None
) -> None:
    parts = parts_under_caps(gross_fens, tax_percent, line_cap, net_cap_fen)
    pieces = [piece for part in parts for piece in part]
    assert [piece.line for piece in pieces] == sorted(piece.line for piece in pieces)
    back = [sum(piece.gross_fen for piece in pieces if piece.line == line) for line in range(len(gross_fens))]
    assert back == gross_fens
    nets = [sum(split_gross(piece.gross_fen, tax_percent).net_fen for piece in part) for part in parts]
    assert all(len(part) <= line_cap for part in parts)
    assert all(len(part) == line_cap or net == net_cap_fen for part, net in zip(parts[:-1], nets, strict=False))
    assert net_cap_fen is None or all(net <= net_cap_fen for net in nets)


@given(st.integers(0, 10**12), RATES)
def test_the_largest_gross_keeps_the_cap_and_one_fen_more_breaks_it(net_cap_fen: int, tax_percent: int) -> None:
    most = largest_gross(tax_percent, net_cap_fen)
    assert split_gross(most, tax_percent).net_fen <= net_cap_fen < split_gross(most + 1, tax_percent).net_fen
