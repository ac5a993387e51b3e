"""What every provider checks before it takes an order, blue or red. A refusal has no effect: the serial stays free.

And the triggers for tests that stand in an order; see core.
"""

import json
import re
from typing import Any, NamedTuple

LINE_TOLERANCE, SUM_TOLERANCE = 600, 12_700  # hundredths of a fen
SERIAL = re.compile(r"[0-9A-Z]{20}")
SELLER_TAX_ID = re.compile(r"[0-9A-Z]{2}[0-9]{2}[0-9A-Z]{11,16}")
TAX_NUMBER = re.compile(r"[0-9]{20}")
FORM_NUMBER = re.compile(r"[0-9A-Za-z]{1,40}")
SHOWN_MAX = 100
REASONS = ("issued_in_error", "sales_return", "service_stopped", "sales_allowance")
PARTY = ("name", "tax_id", "address", "phone", "bank_name", "bank_account")
MONEY = ("gross_fen", "net_fen", "tax_fen")
TRIGGERS = (
    "FAIL_BUYER_TAXNO",
    "SLOW",
    "AMOUNT_SHIFT",
    "CANCEL_LOSE",
    "CANCEL_ACK_BUT_ISSUED",
    "TIMEOUT_LOST",
    "TIMEOUT_ISSUED",
)
RED_TRIGGERS = ("BUYER_TICKED", "BUYER_BOOKED", "BUYER_REFUSES", "BUYER_CONFIRMS")

Order = dict[str, Any]


class Wrong(NamedTuple):
    code: str
    text: str


def malformed(order: object) -> Wrong | None:
    """The first member that is missing or of another type; nothing else can be said of such an order."""
    if not isinstance(order, dict):
        return Wrong("FORMAT", "an order is a JSON object")
    checks = {
        "serial": _like(SERIAL, order.get("serial")),
        "kind": order.get("kind") in ("general", "special"),
        "seller": _texts(order.get("seller"), PARTY),
        "buyer": _texts(order.get("buyer"), PARTY),
        "lines": _lines(order.get("lines")),
        "amounts": _integers(order, MONEY),
        "remark": _texts(order, ("remark", "drawer")),
    }
    return next(
        (Wrong("FORMAT", f"{name} is missing or malformed") for name, right in checks.items() if not right), None
    )


def wrong(order: Order) -> Wrong | None:
    """The first rule that a well-formed order breaks; None when it can be taken."""
    lines = order["lines"]
    if not SELLER_TAX_ID.fullmatch(order["seller"]["tax_id"]):
        return Wrong("SELLER_TAX_ID", f"no seller has the tax id {order['seller']['tax_id']!r}")
    if not order["buyer"]["name"]:
        return Wrong("BUYER_NAME", "an invoice needs the buyer's name")
    if order["kind"] == "special" and not order["buyer"]["tax_id"]:
        return Wrong("BUYER_TAX_ID", "a special invoice needs the buyer's tax id")
    if order["gross_fen"] <= 0:
        return Wrong("TOTALS", f"a blue invoice is for more than nothing, not for {order['gross_fen']} fen")
    if order["net_fen"] + order["tax_fen"] != order["gross_fen"]:
        return Wrong("TOTALS", "net and tax do not sum to gross")
    sums = tuple(sum(line[name] for line in lines) for name in ("net_fen", "tax_fen"))
    if sums != (order["net_fen"], order["tax_fen"]):
        return Wrong("TOTALS", "the header is not the sum of the lines")
    errors = [abs(line["net_fen"] * line["tax_percent"] - line["tax_fen"] * 100) for line in lines]
    if max(errors) > LINE_TOLERANCE or sum(errors) > SUM_TOLERANCE:
        return Wrong("TOLERANCE", "a line's tax is not its net times the rate")
    try:
        json.dumps(order, ensure_ascii=False).encode("gbk")
    except UnicodeEncodeError as error:
        return Wrong("CHARACTER", f"{error.object[error.start]!r} cannot be printed")
    return None


def malformed_red(order: object) -> Wrong | None:
    if not isinstance(order, dict):
        return Wrong("FORMAT", "an order is a JSON object")
    form_number = order.get("form_number")
    checks = {
        "serial": _like(SERIAL, order.get("serial")),
        "blue_number": _like(TAX_NUMBER, order.get("blue_number")),
        "seller_tax_id": _like(SELLER_TAX_ID, order.get("seller_tax_id")),
        "reason": order.get("reason") in REASONS,
        "lines": _lines(order.get("lines")),
        **{name: _integers(order, (name,)) for name in MONEY},
        "remark": isinstance(order.get("remark"), str),
        "form_number": form_number == "" or _like(FORM_NUMBER, form_number),
    }
    wrongs = (name for name, right in checks.items() if not right)
    return next(
        (Wrong("FORMAT", f"{name} is missing or malformed: {order.get(name)!r}"[:SHOWN_MAX]) for name in wrongs), None
    )


def wrong_red(order: Order, blue_fen: tuple[int, int, int]) -> Wrong | None:
    """A red invoice is the whole of the blue one, negative. `blue_fen`: its gross, net and tax."""
    for name, fen in zip(MONEY, blue_fen, strict=True):
        if order[name] != -fen:
            return Wrong("RED_AMOUNTS", f"{name} is {order[name]}, of the blue invoice {fen}")
    for name in ("net_fen", "tax_fen"):
        amounts = [line[name] for line in order["lines"]]
        if max(amounts) > 0:
            return Wrong("RED_AMOUNTS", f"{name} of a line is {max(amounts)}, a red line is for nothing or less")
        if sum(amounts) != order[name]:
            return Wrong("RED_AMOUNTS", f"{name} is {order[name]}, the lines sum to {sum(amounts)}")
    return None


def trigger_of(order: object, triggers: tuple[str, ...]) -> str:
    """The first of the triggers that stands where customers write."""
    if not isinstance(order, dict):
        return ""
    buyer = order.get("buyer")
    written = [order.get("remark"), *([buyer.get("name"), buyer.get("tax_id")] if isinstance(buyer, dict) else [])]
    text = " ".join(map(str, written))
    return next((trigger for trigger in triggers if trigger in text), "")


def _like(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _lines(lines: object) -> bool:
    return isinstance(lines, list | tuple) and bool(lines) and all(map(_line, lines))


def _line(line: object) -> bool:
    return _texts(line, ("name", "spec", "tax_code")) and _integers(line, ("net_fen", "tax_percent", "tax_fen"))


def _texts(thing: object, names: tuple[str, ...]) -> bool:
    return isinstance(thing, dict) and all(isinstance(thing.get(name), str) for name in names)


def _integers(thing: object, names: tuple[str, ...]) -> bool:
    return isinstance(thing, dict) and all(type(thing.get(name)) is int for name in names)
