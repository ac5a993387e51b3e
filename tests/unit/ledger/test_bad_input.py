"""What upstream must not send, one fault at a time: refused at the edge, with the field and without the value."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.contracts.accounts import CashToppedUp, RelationChanged
from shared.contracts.billing import BillAdjusted, BillSettled, OrderPaid, RefundSettled
from shared.contracts.message import Message

LINE = {"subject": "ALIYUN_SERVICE", "item_name": "ECS", "cash_fen": 100}
COMMON = {"account_id": 1, "number": "O1", "occurred_at": "2026-03-10T10:00:00+08:00"}
GOOD: dict[type[Message], dict[str, Any]] = {
    OrderPaid: COMMON | {"lines": [LINE]},
    BillSettled: COMMON | {"lines": [LINE], "cycle": "202603"},
    RefundSettled: COMMON | {"original_number": "O1", "lines": [{"cash_fen": 5}]},
    BillAdjusted: COMMON | {"original_number": "O1", "cycle": "202603", "refunds": [{"cash_fen": 5}]},
    CashToppedUp: COMMON | {"cash_fen": 5},
    RelationChanged: COMMON | {"member_id": 2},
}

OF_THE_WHOLE = {(BillAdjusted, "refunds"), (RelationChanged, "member_id"), (OrderPaid, "lines")}
"""Faults of two fields that do not go together."""


def with_value(values: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one value changed; `lines.0.cash_fen` leads into the first line."""
    first, _, rest = path.partition(".")
    if not rest:
        return values | {first: value}
    if first == "lines" and rest.startswith("0."):
        return values | {"lines": [with_value(values["lines"][0], rest[2:], value)]}
    raise AssertionError(path)


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_the_good_one_is_read(kind: type[Message]) -> None:
    TypeAdapter(kind).validate_json(json.dumps(GOOD[kind]))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (RelationChanged, "member_id", 1),
        (OrderPaid, "lines.0.cash_fen", -1),
        (OrderPaid, "lines.0.cash_fen", 10**15 + 1),
        (OrderPaid, "lines.0.cash_fen", "100"),
        (OrderPaid, "lines.0.cash_fen", 100.0),
        (OrderPaid, "lines.0.cash_fen", 1.5),
        (OrderPaid, "lines.0.cash_fen", None),
        (OrderPaid, "lines.0.voucher_fen", -1),
        (OrderPaid, "lines.0.list_fen", 10**15 + 1),
        (OrderPaid, "lines.0.item_name", "x" * 201),
        (OrderPaid, "lines.0.quantity", "-1"),
        (OrderPaid, "lines.0.product_code", "p" * 65),
        (OrderPaid, "lines", []),
        (OrderPaid, "lines", [LINE, LINE | {"cash_fen": 10**15}]),
        (OrderPaid, "currency", "USD"),
        (OrderPaid, "number", "n" * 65),
        (OrderPaid, "number", ""),
        (OrderPaid, "number", "a b"),
        (OrderPaid, "account_id", 0),
        (OrderPaid, "account_id", 2**52 + 1),
        (OrderPaid, "occurred_at", "1999-12-31T23:59:59+00:00"),
        (OrderPaid, "occurred_at", "2100-01-01T00:00:00+00:00"),
        (OrderPaid, "occurred_at", "2026-03-10T10:00:00"),
        (BillSettled, "cycle", "202613"),
        (BillSettled, "cycle", "199912"),
        (BillSettled, "cycle", "2026-03"),
        (RefundSettled, "lines.0.cash_fen", 0),
        (RefundSettled, "lines.0.cash_fen", -5),
        (RefundSettled, "lines.0.original_line", 0),
        (RefundSettled, "original_number", ""),
        (BillAdjusted, "refunds", []),
        (CashToppedUp, "cash_fen", 0),
        (CashToppedUp, "cash_fen", "5"),
    ],
)
def test_a_fault_is_refused_with_its_field_and_without_its_value(kind: type[Message], path: str, value: object) -> None:
    bad = with_value(GOOD[kind], path, value)
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_json(json.dumps(bad))
    error, *_ = caught.value.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(map(str, error["loc"]))
    assert where == path or (kind, path) in OF_THE_WHOLE
    assert "input_value" not in str(caught.value)
