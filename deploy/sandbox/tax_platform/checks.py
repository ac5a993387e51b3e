"""What every provider checks before it takes an order. A refusal has no effect: the serial stays free."""

import json
import re
from typing import Any, NamedTuple

LINE_TOLERANCE, SUM_TOLERANCE = 600, 12_700  # hundredths of a fen
SERIAL = re.compile(r"[0-9A-Z]{20}")
SELLER_TAX_ID = re.compile(r"[0-9A-Z]{2}[0-9]{2}[0-9A-Z]{11,16}")
PARTY = ("name", "tax_id", "address", "phone", "bank_name", "bank_account")
MONEY = ("gross_fen", "net_fen", "tax_fen")

Order = dict[str, Any]


class Wrong(NamedTuple):
    code: str
    text: str


def malformed(order: object) -> Wrong | None:
    """The first member that is missing or of another type; nothing else can be said of such an order."""
    if not isinstance(order, dict):
        return Wrong("FORMAT", "an order is a JSON object")
    lines = order.get("lines")
    checks = {
        "serial": isinstance(order.get("serial"), str) and SERIAL.fullmatch(order["serial"]),
        "kind": order.get("kind") in ("general", "special"),
        "seller": _texts(order.get("seller"), PARTY),
        "buyer": _texts(order.get("buyer"), PARTY),
        "lines": isinstance(lines, list | tuple) and lines and all(map(_line, lines)),
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


def _line(line: object) -> bool:
    return _texts(line, ("name", "spec", "tax_code")) and _integers(line, ("net_fen", "tax_percent", "tax_fen"))


def _texts(thing: object, names: tuple[str, ...]) -> bool:
    return isinstance(thing, dict) and all(isinstance(thing.get(name), str) for name in names)


def _integers(thing: object, names: tuple[str, ...]) -> bool:
    return isinstance(thing, dict) and all(type(thing.get(name)) is int for name in names)
