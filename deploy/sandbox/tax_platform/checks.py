"""What every provider checks before it accepts a draft of an invoice, blue or red. A refusal has no effect: the serial stays free.

And the triggers for tests, which stand in a draft; core.py says what each of them does.
"""

import json
import re
from typing import Any, NamedTuple

LINE_TOLERANCE, SUM_TOLERANCE = 600, 12_700
"""In hundredths of a fen: how far the tax of one line, and of all lines together, may be from net times rate."""

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

Draft = dict[str, Any]


class Refusal(NamedTuple):
    code: str
    text: str


def malformed(draft: object) -> Refusal | None:
    """The first member that is missing or of another type; nothing else can be said of such a draft."""
    if not isinstance(draft, dict):
        return Refusal("FORMAT", "an order is a JSON object")
    checks = {
        "serial": _like(SERIAL, draft.get("serial")),
        "kind": draft.get("kind") in ("general", "special"),
        "seller": _texts(draft.get("seller"), PARTY),
        "buyer": _texts(draft.get("buyer"), PARTY),
        "lines": _lines(draft.get("lines")),
        "amounts": _integers(draft, MONEY),
        "remark": _texts(draft, ("remark", "drawer")),
    }
    return next(
        (Refusal("FORMAT", f"{name} is missing or malformed") for name, right in checks.items() if not right), None
    )


def wrong(draft: Draft) -> Refusal | None:
    """The first rule that a well-formed draft breaks; None when it can be accepted."""
    lines = draft["lines"]
    if not SELLER_TAX_ID.fullmatch(draft["seller"]["tax_id"]):
        return Refusal("SELLER_TAX_ID", f"no seller has the tax id {draft['seller']['tax_id']!r}")
    if not draft["buyer"]["name"]:
        return Refusal("BUYER_NAME", "an invoice needs the buyer's name")
    if draft["kind"] == "special" and not draft["buyer"]["tax_id"]:
        return Refusal("BUYER_TAX_ID", "a special invoice needs the buyer's tax id")
    if draft["gross_fen"] <= 0:
        return Refusal("TOTALS", f"a blue invoice is for more than nothing, not for {draft['gross_fen']} fen")
    if draft["net_fen"] + draft["tax_fen"] != draft["gross_fen"]:
        return Refusal("TOTALS", "net and tax do not sum to gross")
    sums = tuple(sum(line[name] for line in lines) for name in ("net_fen", "tax_fen"))
    if sums != (draft["net_fen"], draft["tax_fen"]):
        return Refusal("TOTALS", "the header is not the sum of the lines")
    errors = [abs(line["net_fen"] * line["tax_percent"] - line["tax_fen"] * 100) for line in lines]
    if max(errors) > LINE_TOLERANCE or sum(errors) > SUM_TOLERANCE:
        return Refusal("TOLERANCE", "a line's tax is not its net times the rate")
    try:
        json.dumps(draft, ensure_ascii=False).encode("gbk")
    except UnicodeEncodeError as error:
        return Refusal("CHARACTER", f"{error.object[error.start]!r} cannot be printed")
    return None


def malformed_red(draft: object) -> Refusal | None:
    if not isinstance(draft, dict):
        return Refusal("FORMAT", "an order is a JSON object")
    form_number = draft.get("form_number")
    checks = {
        "serial": _like(SERIAL, draft.get("serial")),
        "blue_number": _like(TAX_NUMBER, draft.get("blue_number")),
        "seller_tax_id": _like(SELLER_TAX_ID, draft.get("seller_tax_id")),
        "reason": draft.get("reason") in REASONS,
        "lines": _lines(draft.get("lines")),
        **{name: _integers(draft, (name,)) for name in MONEY},
        "remark": isinstance(draft.get("remark"), str),
        "form_number": form_number == "" or _like(FORM_NUMBER, form_number),
    }
    wrongs = (name for name, right in checks.items() if not right)
    return next(
        (Refusal("FORMAT", f"{name} is missing or malformed: {draft.get(name)!r}"[:SHOWN_MAX]) for name in wrongs), None
    )


def wrong_red(draft: Draft, blue_fen: tuple[int, int, int]) -> Refusal | None:
    """A red invoice is the whole of the blue one, negative. `blue_fen`: its gross, net and tax."""
    for name, fen in zip(MONEY, blue_fen, strict=True):
        if draft[name] != -fen:
            return Refusal("RED_AMOUNTS", f"{name} is {draft[name]}, of the blue invoice {fen}")
    for name in ("net_fen", "tax_fen"):
        amounts = [line[name] for line in draft["lines"]]
        if max(amounts) > 0:
            return Refusal("RED_AMOUNTS", f"{name} of a line is {max(amounts)}, a red line is for nothing or less")
        if sum(amounts) != draft[name]:
            return Refusal("RED_AMOUNTS", f"{name} is {draft[name]}, the lines sum to {sum(amounts)}")
    return None


def trigger_of(draft: object, triggers: tuple[str, ...]) -> str:
    """The first of these triggers that stands in the remark, or in the name or tax id of the buyer."""
    if not isinstance(draft, dict):
        return ""
    buyer = draft.get("buyer")
    written = [draft.get("remark"), *([buyer.get("name"), buyer.get("tax_id")] if isinstance(buyer, dict) else [])]
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
