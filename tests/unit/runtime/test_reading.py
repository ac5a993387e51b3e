"""What a body means: exactly what the published JSON Schema says, and a reason that names the innermost field."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from deploy.reference.contracts import MESSAGES, schema
from shared.contracts.billing import OrderPaid
from shared.contracts.message import Message, moment_of
from shared.contracts.topics import TOPICS
from shared.runtime.envelope import Unreadable, meaning_of
from shared.runtime.reading import ahead_of, message_of
from tests.support.examples import a_bill, a_refund, an_order

AT = "2026-03-10T10:00:00+08:00"
LINE: dict[str, Any] = {"product_code": "ecs", "item_name": "云服务器", "cash_fen": 10600, "quantity": "1.5"}
REGISTRATION = {"kind": "enterprise", "name": "示例科技有限公司", "tax_id": "91330106200000002W", "address": "西湖区"}
FACT: dict[str, Any] = {"account_id": 7002, "number": "N1", "occurred_at": AT}
BODIES: dict[str, dict[str, Any]] = {
    "OrderPaid": {**FACT, "lines": [LINE, dict(LINE)]},
    "BillSettled": {**FACT, "cycle": "202603", "lines": [LINE]},
    "UsageRecorded": {**FACT, "lines": [LINE]},
    "RefundSettled": {**FACT, "original_number": "O1", "lines": [{"original_line": 1, "cash_fen": 5}]},
    "BillAdjusted": {**FACT, "original_number": "O1", "cycle": "202603", "refunds": [{"cash_fen": 5}], "lines": [LINE]},
    "AccountRegistered": {"account_id": 1, "occurred_at": AT, "registration": REGISTRATION, "mailbox": "a@b.example"},
    "RegistrationChanged": {"account_id": 1, "occurred_at": AT, "registration": REGISTRATION},
    "AccountClosed": {"account_id": 1, "occurred_at": AT},
    "RelationChanged": {"account_id": 1, "occurred_at": AT, "member_id": 2, "permissions": ["A", "B"]},
    "CashToppedUp": {"account_id": 1, "occurred_at": AT, "number": "T1", "cash_fen": 5},
}
ODD: list[Any] = [
    *(
        "7002",
        "",
        " ",
        "x" * 300,
        "a\0b",
        "a\x07b",
        "a\nb",
        "202613",
        AT,
        "2026-03-10",
        "1762822800",
        "2026-03-10T10:00:00",
    ),
    *(7002, 7002.0, 7002.5, 1e15, 10**15 + 1, 2**53, 10**30, 0, 0.0, -1, 1762822800, True, False, None),
    *([], {}, [None], [LINE], {"cash_fen": 5}),
]
BEYOND_THE_SCHEMA = {"value_error", "greater_than_equal", "less_than", "datetime_from_date_parsing"}
"""Sums, years and pairs of fields, which no JSON Schema can state; the descriptions do."""


def adapter(name: str) -> TypeAdapter[Message]:
    return TypeAdapter(MESSAGES[name])


def places(value: object, at: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    yield at
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*at, name))


def changed(body: dict[str, Any], at: tuple[int | str, ...], value: object) -> dict[str, Any]:
    body = copy.deepcopy(body)
    inner: Any = body
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    return body


def by_schema(name: str, body: object) -> bool:
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("date-time", raises=ValueError)(lambda value: not isinstance(value, str) or bool(moment_of(value)))
    validator = jsonschema.Draft202012Validator(schema(MESSAGES[name]), format_checker=checker)
    return bool(validator.is_valid(body))


def test_every_message_of_upstreams_is_compared() -> None:
    upstream = {
        message.__name__ for topic in TOPICS.values() if topic.owner == "upstream" for message in topic.messages
    }
    assert upstream == BODIES.keys()


@pytest.mark.parametrize("name", BODIES)
def test_a_complete_example_is_read(name: str) -> None:
    assert by_schema(name, BODIES[name])
    assert isinstance(message_of(adapter(name), json.dumps(BODIES[name]).encode()), MESSAGES[name])


@pytest.mark.parametrize("name", BODIES)
@settings(derandomize=True, database=None, deadline=None, max_examples=150)
@given(data=st.data())
def test_reader_and_published_schema_agree(name: str, data: st.DataObject) -> None:
    body = BODIES[name]
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.sampled_from([place for place in places(body) if place]))
        odd = (
            st.sampled_from(ODD)
            | st.text(max_size=70)
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
        )
        body = changed(body, at, data.draw(odd))
    text = json.dumps(body)
    seen = message_of(adapter(name), text.encode())
    if not by_schema(name, body):
        assert isinstance(seen, Unreadable), text
    elif isinstance(seen, Unreadable):
        assert "surrogate" in seen.text or "NUL" in seen.text or _only_beyond(name, text), (seen, text)


def _only_beyond(name: str, text: str) -> bool:
    """Whether it breaks only rules that the schema can't state."""
    whole = json.dumps(
        json.loads(text, parse_float=lambda one: int(float(one)) if float(one).is_integer() else float(one))
    )
    try:
        adapter(name).validate_json(whole, strict=True)
    except ValidationError as error:
        return {one["type"] for one in error.errors()} <= BEYOND_THE_SCHEMA
    return False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_id", "7002"),
        ("account_id", True),
        ("account_id", 7002.5),
        ("occurred_at", 1762822800),
        ("occurred_at", "1762822800"),
        ("occurred_at", "2026-03-10"),
        ("occurred_at", "2026-03-10T10:00:00"),
        ("occurred_at", "2026-03-10 10:00:00+08:00"),
        ("occurred_at", "9999-12-31T23:59:59-23:00"),
        ("occurred_at", "0001-01-01T00:00:00+23:00"),
    ],
)
def test_nothing_is_converted(field: str, value: object) -> None:
    seen = message_of(adapter("OrderPaid"), json.dumps(BODIES["OrderPaid"] | {field: value}).encode())
    assert isinstance(seen, Unreadable)
    assert seen.text.startswith(f"{field}: ")


@pytest.mark.parametrize("number", ["10600.0", "1.06e4", "1060000e-2", "10600"])
def test_a_whole_number_is_an_integer_however_it_is_written(number: str) -> None:
    text = json.dumps(BODIES["OrderPaid"]).replace("10600", number)
    seen = message_of(adapter("OrderPaid"), text.encode())
    assert isinstance(seen, OrderPaid)
    assert seen.lines[0].cash_fen == 10600


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e400", "9" * 5000, "-1E-1000000000", "0.5"])
def test_a_number_of_any_size_is_only_a_wrong_field(number: str) -> None:
    text = json.dumps(BODIES["OrderPaid"]).replace("10600", number)
    seen = message_of(adapter("OrderPaid"), text.encode())
    assert isinstance(seen, Unreadable)
    assert seen.reason == "BREAKS_CONTRACT"


@pytest.mark.parametrize(
    ("escaped", "at", "what"),
    [
        (r"\ud83d", ("lines", 0, "item_name"), "half a surrogate pair (\\ud83d)"),
        (r"\udc00x", ("note_nobody_knows",), "half a surrogate pair (\\udc00)"),
        (r"a\u0000b", ("lines", 1, "item_name"), "the character NUL"),
        (r"\u0000", ("note_nobody_knows",), "the character NUL"),
    ],
)
def test_a_character_that_nothing_can_hold_is_named_with_its_field(
    escaped: str, at: tuple[int | str, ...], what: str
) -> None:
    body = changed(BODIES["OrderPaid"], at, "MARK")
    seen = message_of(adapter("OrderPaid"), json.dumps(body).replace("MARK", escaped).encode())
    assert isinstance(seen, Unreadable)
    assert seen.reason == "BREAKS_CONTRACT"
    assert seen.text.startswith(f"{'.'.join(map(str, at))}: {what}")


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    body = changed(BODIES["OrderPaid"], ("lines", 0, "item_name"), "\\u0000")
    assert isinstance(message_of(adapter("OrderPaid"), json.dumps(body).encode()), OrderPaid)


def test_control_characters_are_a_wrong_field() -> None:
    for name, at in (("OrderPaid", ("lines", 0, "spec")), ("AccountRegistered", ("registration", "name"))):
        seen = message_of(adapter(name), json.dumps(changed(BODIES[name], at, "a\x1bb")).encode())
        assert isinstance(seen, Unreadable)
        assert seen.text.startswith(".".join(map(str, at)))


def test_the_innermost_fault_comes_first_and_the_field_around_it_is_not_blamed() -> None:
    body = changed(BODIES["OrderPaid"], ("lines",), [{"product_code": "ecs", "cash_fen": -1}])
    seen = message_of(adapter("OrderPaid"), json.dumps(body | {"number": ""}).encode())
    assert isinstance(seen, Unreadable)
    first, second = seen.text.split("; ")
    assert first.startswith("lines.0.cash_fen: ")
    assert second.startswith("number: ")


def test_depth_is_a_reason_and_no_end() -> None:
    for depth in (100, 300, 100_000):
        deep = "[" * depth + "]" * depth
        text = json.dumps(BODIES["OrderPaid"])[:-1] + f', "extra": {deep}}}'
        assert isinstance(message_of(adapter("OrderPaid"), text.encode()), OrderPaid | Unreadable)


@pytest.mark.parametrize(
    "other",
    ["2026-03-10T02:00:00Z", "2026-03-10T02:00:00.000000Z", "2026-03-09T21:00:00-05:00", "2026-03-10t02:00:00z"],
)
def test_another_notation_of_the_same_moment_means_the_same(other: str) -> None:
    one, two = (
        message_of(adapter("OrderPaid"), json.dumps(BODIES["OrderPaid"] | {"occurred_at": at}).encode())
        for at in (AT, other)
    )
    assert isinstance(one, OrderPaid)
    assert isinstance(two, OrderPaid)
    assert meaning_of(one) == meaning_of(two)
    assert one.model_dump_json() == two.model_dump_json()


def test_what_differs_means_something_else() -> None:
    assert (
        len({meaning_of(one) for one in (an_order(), an_order("O2"), an_order(cash_fen=5), a_bill(), a_refund())}) == 5
    )


def test_a_fact_may_be_five_minutes_ahead_of_its_arrival() -> None:
    now = datetime(2026, 3, 10, 2, tzinfo=UTC)
    assert ahead_of(an_order(at=now + timedelta(minutes=5)), now) is None
    early = ahead_of(an_order(at=now + timedelta(minutes=10)), now)
    assert early is not None
    assert (early.reason, early.redrive_from) == ("FROM_THE_FUTURE", now + timedelta(minutes=5))
    assert "2026-03-10T10:05:00+08:00" in early.text
