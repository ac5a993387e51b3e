"""From the body of an event to a message: exactly what the published JSON Schema allows, and a reason that names the field if it is not.

Nothing is converted: "7002" is no number and 1762822800 no moment. JSON has one kind of number, so 10600.0 is the integer 10600.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.contracts.message import Message
from shared.runtime.envelope import UNWRITABLE, Unreadable

AHEAD_MAX = timedelta(minutes=5)
"""What clocks of honest hosts may differ by."""
SHOWN_MAX, SHOWN_CHARACTERS = 5, 400
DIGITS_MAX = 30
NAME_MAX = 40


def message_of(adapter: TypeAdapter[Message], body: bytes) -> Message | Unreadable:
    if b"\\u0000" in body and (text := _unwritable(body)) is not None:
        return Unreadable("BREAKS_CONTRACT", text)
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as error:
        plain = _with_whole_numbers(body)
        if plain is None:
            return Unreadable("BREAKS_CONTRACT", _unwritable(body) or fields(error))
    try:
        return adapter.validate_json(plain, strict=True)
    except ValidationError as error:
        return Unreadable("BREAKS_CONTRACT", fields(error))


def ahead_of(message: Message, judged_at: datetime) -> Unreadable | None:
    """A fact that happened after it was told of: with an honest clock its time has not come."""
    happened = getattr(message, "occurred_at", None)
    if not isinstance(happened, datetime) or happened - judged_at <= AHEAD_MAX:
        return None
    start = happened - AHEAD_MAX
    text = (
        f"occurred_at: {happened.isoformat()} lies more than {AHEAD_MAX.seconds // 60} minutes ahead of its arrival; "
        f"redrive it from {start.isoformat()} on, or have it published again, correctly"
    )
    return Unreadable("FROM_THE_FUTURE", text, start)


def fields(error: ValidationError) -> str:
    """Which fields break the contract and how, never their values; the innermost first, and no field only because of one inside it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = {one["loc"] for one in found}
    inner = [
        one
        for one in found
        if not any(len(place) > len(one["loc"]) and place[: len(one["loc"])] == one["loc"] for place in places)
    ]
    inner.sort(key=lambda one: -len(one["loc"]))
    return "; ".join(f"{_path(one['loc'])}{one['msg']}" for one in inner[:SHOWN_MAX])[:SHOWN_CHARACTERS]


def _path(place: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, place))}: " if place else ""


def _with_whole_numbers(body: bytes) -> bytes | None:
    """The body with 10600.0 or 1.06e4 written as 10600, if there is any such number."""
    found = False

    def whole(text: str) -> int | float:
        nonlocal found
        number = Decimal(text)
        if number.adjusted() > DIGITS_MAX or number != number.to_integral_value():
            return float(text)
        found = True
        return int(number)

    try:
        plain = json.dumps(json.loads(body.decode(), parse_float=whole)).encode()
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return plain if found else None


def _unwritable(body: bytes) -> str | None:
    """Where a text has half a surrogate pair or NUL, which no database holds. None: nowhere."""
    try:
        content = json.loads(body.decode())
    except RecursionError:
        return "the value is nested too deeply"
    except ValueError:
        return None
    for place, text in _texts(content):
        for char in UNWRITABLE.findall(text):
            if char == "\0" or "\ud800" <= char <= "\udfff":
                what = "the character NUL (\\u0000)" if char == "\0" else f"half a surrogate pair (\\u{ord(char):04x})"
                return f"{_path(place)}{what} can't be stored"
    return None


def _texts(content: Any) -> Iterator[tuple[tuple[int | str, ...], str]]:  # noqa: ANN401 - any JSON
    """All texts with their places, names of fields too; without recursion, however deep it goes."""
    waiting: list[tuple[tuple[int | str, ...], Any]] = [((), content)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            for name, member in value.items():
                shown = name[:NAME_MAX] if name.isidentifier() else "?"
                yield (*place, shown), name
                waiting.append(((*place, shown), member))
        elif isinstance(value, list):
            waiting += [((*place, number), member) for number, member in enumerate(value)]
