"""Facts that need no story: tax arithmetic, numbers, codes and words, computed by the production functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.domain import price, tax
from shared.domain.calendar import auto_invoicing_due, cycle_of
from shared.domain.caps import parts_under_caps
from shared.domain.credit_code import is_valid_credit_code
from shared.domain.invoice_number import parse_invoice_number
from shared.domain.red import red_split
from shared.domain.remark import check_remark
from shared.domain.tax import TaxSplit
from shared.domain.words import amount_in_words

PLAIN_RATE = "0.06"
Example = dict[str, Any]


def percent(rate: str) -> int:
    return int(Decimal(rate) * 100)


def amounts(split: TaxSplit) -> dict[str, int]:
    return {"gross_fen": split.gross_fen, "net_fen": split.net_fen, "tax_fen": split.tax_fen}


def compared(expected: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    for key, value in expected.items():
        if key not in has or has[key] != value:
            yield f"{key} is {has.get(key)!r}, expected {value!r}"


def splits(expected: Sequence[Mapping[str, Any]], _: Example) -> Iterator[str]:
    for row in expected:
        split = tax.split_gross(row["gross_fen"], percent(row["tax_rate"]))
        has = amounts(split) | {"tax_rate": row["tax_rate"], "amount_in_words": amount_in_words(row["gross_fen"])}
        yield from compared(row, has)


def _orders(example: Example) -> tuple[list[int], int, int]:
    given = example["given"]
    gross = given.get("orders_gross_fen") or [given["order_gross_fen"]] * given["orders"]
    return list(gross), percent(given["tax_rate"]), given.get("line_cap", 2000)


def _capped(gross: Sequence[int], rate: int, line_cap: int) -> list[list[int]]:
    return [[piece.gross_fen for piece in part] for part in parts_under_caps(gross, rate, line_cap)]


def per_order_lines(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    gross, rate, line_cap = _orders(example)
    lines = tax.line_for_each(gross, rate)
    parts = _capped(gross, rate, line_cap)
    has: dict[str, Any] = {
        "lines": len(lines) if isinstance(expected.get("lines"), int) else [len(part) for part in parts],
        "invoice_count": len(parts),
        "line_net_fen": lines[0].net_fen,
        "line_tax_fen": lines[0].tax_fen,
        "net_fen": sum(line.net_fen for line in lines),
        "tax_fen": sum(line.tax_fen for line in lines),
        "gross_fen": [sum(part) for part in parts] if isinstance(expected.get("gross_fen"), list) else sum(gross),
        "abs_error_yuan": f"{sum(tax.tax_error_hundredths(one.net_fen, one.tax_fen, rate) for one in lines) / 10_000:.2f}",
        "accepted": tax.sum_within_tolerance(lines, rate),
    }
    yield from compared(expected, has)


def merged_line(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    gross, rate, line_cap = _orders(example)
    merged = tax.merged_line(gross, rate)
    has: dict[str, Any] = amounts(merged)
    if isinstance(expected.get("gross_fen"), list):
        parts = _capped([merged.gross_fen], rate, line_cap)
        has = {
            "invoice_count": len(parts),
            "lines": [len(part) for part in parts],
            "gross_fen": [sum(part) for part in parts],
        }
    yield from compared(expected, has)


def recommended(expected: str, example: Example) -> Iterator[str]:
    form = tax.recommended_form(*_orders(example))
    if form != expected:
        yield f"is {form}, expected {expected}"


def line(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    given = example["given"]
    split = tax.split_gross(given["gross_fen"], percent(given["tax_rate"]))
    quantity = Decimal(given["quantity"])
    per_unit = price.unit_price(split.net_fen, quantity)
    error = price.price_error_yuan(split.net_fen, quantity, per_unit)
    has = {"quantity": str(quantity), "unit_price_ex_tax": str(per_unit), "product_error_yuan": str(error.normalize())}
    yield from compared(expected, amounts(split) | has)


def blue(expected: Mapping[str, Any], _: Example) -> Iterator[str]:
    yield from compared(expected, amounts(tax.split_gross(expected["gross_fen"], percent(PLAIN_RATE))))


def _reds(example: Example) -> tuple[TaxSplit, list[TaxSplit]]:
    """What is left of the blue one in the end, and each red one."""
    expected = example["expected"]
    rest, done = tax.split_gross(expected["blue"]["gross_fen"], percent(PLAIN_RATE)), []
    for row in expected.get("reds") or [expected["red"]]:
        done.append(red_split(rest, row["gross_fen"], percent(PLAIN_RATE)))
        rest = rest + done[-1]
    return rest, done


def red(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    yield from compared(expected, amounts(_reds(example)[1][0]))


def reds(expected: Sequence[Mapping[str, Any]], example: Example) -> Iterator[str]:
    for row, split in zip(expected, _reds(example)[1], strict=True):
        yield from compared(row, amounts(split))


def left(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    yield from compared(expected, amounts(_reds(example)[0]))


def fresh_rounding_of_last(expected: Mapping[str, Any], example: Example) -> Iterator[str]:
    last = _reds(example)[1][-1]
    yield from compared(expected, amounts(tax.split_gross(last.gross_fen, percent(PLAIN_RATE))))


def checks(expected: Sequence[Mapping[str, Any]], _: Example) -> Iterator[str]:
    for row in expected:
        if "remark" in row:
            findings = check_remark(row["remark"])
            has: dict[str, Any] = {
                "remark": row["remark"],
                "ok": not findings,
                "code": findings[0].code if findings else None,
            }
        else:
            ok = tax.line_within_tolerance(row["net_fen"], row["tax_fen"], percent(row["tax_rate"]))
            has = {**row, "ok": ok}
        yield from compared(row, has)


def numbers(expected: Sequence[Mapping[str, Any]], _: Example) -> Iterator[str]:
    for row in expected:
        parsed = parse_invoice_number(row["number"])
        has: dict[str, Any] = {"number": row["number"], "note": row.get("note"), "valid": parsed is not None}
        yield from compared(row, has | (vars(parsed) if parsed is not None else {}))


def codes(expected: Sequence[Mapping[str, Any]], _: Example) -> Iterator[str]:
    for row in expected:
        yield from compared(row, {"code": row["code"], "valid": is_valid_credit_code(row["code"])})


def words(expected: Sequence[Mapping[str, Any]], _: Example) -> Iterator[str]:
    for row in expected:
        yield from compared(row, {"fen": row["fen"], "words": amount_in_words(row["fen"])})


def due(expected: Mapping[str, bool], _: Example) -> Iterator[str]:
    """Whether the 5th has come in Shanghai."""
    moments = {text: datetime.fromisoformat(text) for text in expected}
    yield from compared(expected, {text: auto_invoicing_due(cycle_of(at)) <= at for text, at in moments.items()})


LOOKS: dict[str, Callable[..., Iterator[str]]] = {
    look.__name__: look
    for look in (
        *(splits, per_order_lines, merged_line, recommended, line, blue, red, reds, left, fresh_rounding_of_last),
        *(checks, numbers, codes, words, due),
    )
}
