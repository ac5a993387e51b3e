"""Quantity and unit price."""

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.price import price_error_yuan, price_fits, price_within_tolerance, unit_price


def test_a_price_has_thirteen_decimals_and_its_product_is_the_net_again() -> None:
    price = unit_price(9434, Decimal(3))
    assert price == Decimal("31.4466666666667")
    assert str(price_error_yuan(9434, Decimal(3), price)) == "1E-13"


@pytest.mark.parametrize(
    ("price", "ok"), [("31.45", True), ("31.4433333333334", True), ("31.45001", False), ("31.44", False)]
)
def test_a_product_may_be_one_fen_off(price: str, ok: bool) -> None:
    assert price_within_tolerance(9434, Decimal(3), Decimal(price)) is ok


@pytest.mark.parametrize(
    ("net_fen", "quantity", "fits"), [(9434, "3", True), (9434, "0", False), (9434, "9e14", False)]
)
def test_a_line_without_a_fitting_price_shows_neither_price_nor_quantity(
    net_fen: int, quantity: str, fits: bool
) -> None:
    assert price_fits(net_fen, Decimal(quantity)) is fits


@given(st.integers(-(2**62), 2**62), st.decimals("0.0000000000001", 10**9, places=13))
def test_the_price_fits_whatever_the_amount(net_fen: int, quantity: Decimal) -> None:
    assert price_fits(net_fen, quantity)


def test_the_decimal_context_of_the_caller_changes_nothing() -> None:
    with localcontext(Context(prec=3)):
        assert unit_price(9434, Decimal(3)) == Decimal("31.4466666666667")
        assert price_error_yuan(9434, Decimal(3), Decimal("31.4466666666667")) == Decimal("1E-13")
