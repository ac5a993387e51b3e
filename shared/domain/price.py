"""The unit price on a line: without tax, 13 decimals, and so that quantity times price is the net within 0.01 (R-11)."""

from decimal import ROUND_HALF_UP, Context, Decimal

PRICE_DECIMALS = Decimal("1e-13")
PRODUCT_TOLERANCE_YUAN = Decimal("0.01")
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
"""Wide enough that nothing but the price itself is ever rounded, whatever the caller's decimal context is."""


def unit_price(net_fen: int, quantity: Decimal) -> Decimal:
    """A quantity of zero has no price: `price_fits` says so before."""
    return EXACT.quantize(EXACT.divide(_yuan(net_fen), quantity), PRICE_DECIMALS)


def price_error_yuan(net_fen: int, quantity: Decimal, price: Decimal) -> Decimal:
    """|quantity x price - net|, exact."""
    return EXACT.abs(EXACT.subtract(EXACT.multiply(quantity, price), _yuan(net_fen))).normalize(EXACT)


def price_within_tolerance(net_fen: int, quantity: Decimal, price: Decimal) -> bool:
    return price_error_yuan(net_fen, quantity, price) <= PRODUCT_TOLERANCE_YUAN


def price_fits(net_fen: int, quantity: Decimal) -> bool:
    """Whether the line can show quantity and price at all. Both are optional: a line that can't leaves them empty."""
    return quantity > 0 and price_within_tolerance(net_fen, quantity, unit_price(net_fen, quantity))


def _yuan(fen: int) -> Decimal:
    return EXACT.scaleb(Decimal(fen), -2)
