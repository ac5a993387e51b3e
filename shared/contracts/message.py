"""What every message has: the base class and the field types all messages share.

A message travels as a CloudEvent: id, type, source and time are headers, the fields below are the JSON body. Unknown fields
are ignored so that fields can be added; a breaking change is a new class (`BillSettledV2`) and the old one is read for ever.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

LARGEST_ID = 2**52
"""Clients of the published SDKs read ids as floats, which are exact up to here."""

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
AccountId = Id
Fen = Annotated[int, Field(ge=-(2**62), le=2**62)]
"""Money: integer fen (1 CNY = 100 fen), tax included unless the name says net or tax."""
PositiveFen = Annotated[int, Field(ge=1, le=2**62)]
DOCUMENT_FEN_MAX = 10**15
DocumentFen = Annotated[int, Field(ge=0, le=DOCUMENT_FEN_MAX, strict=True)]
"""Money as upstream writes it: a JSON integer, no text and no fraction, up to ten trillion yuan."""
Number = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
"""An order, bill or contract number as upstream prints it."""
Cycle = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(0[1-9]|1[0-2])$")]
"""A billing cycle, `YYYYMM`, the month of supply in Asia/Shanghai."""
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_./-]+$")]
WRITABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
"""Text without control characters, but for tabs and line ends: what a database can hold and a page can show."""
Text = Annotated[str, StringConstraints(max_length=200, pattern=WRITABLE)]

BEIJING_OFFSET = timedelta(hours=8)
BEIJING = timezone(BEIJING_OFFSET)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
NO_MOMENT = "a moment is text like 2026-03-10T10:00:00+08:00 (RFC 3339)"


def moment_of(text: str) -> datetime:
    """As RFC 3339 writes it, and nothing else: not a number of seconds, not a day, not without its offset."""
    if RFC_3339.fullmatch(text) is None:
        raise ValueError(NO_MOMENT)
    try:
        return datetime.fromisoformat(text if text[10] == "T" and text[-1] != "z" else text.upper())
    except ValueError:
        raise ValueError(NO_MOMENT) from None


def _moment(value: object) -> object:
    if isinstance(value, str):
        return moment_of(value)
    if isinstance(value, int | float):
        raise ValueError(NO_MOMENT)
    return value


def _in_beijing(value: object) -> object:
    moment = moment_of(value) if isinstance(value, str) else _moment(value)
    if not isinstance(moment, datetime) or moment.utcoffset() in (None, BEIJING_OFFSET):
        return moment
    try:
        return moment.astimezone(BEIJING)
    except OverflowError:
        raise ValueError(NO_MOMENT) from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A point in time with an offset; naive times are refused."""
BusinessMoment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
    BeforeValidator(_in_beijing),
]
"""When something happened upstream; a date of another century is a mistake. Kept with Beijing's offset, whatever it came with: the same
moment is the same text in every digest."""

Sealed = Annotated[str, StringConstraints(pattern=r"^sealed\.v1\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$")]
"""Personal data, encrypted with the key of its account (`shared/runtime/sealing.py`). Never logged, never a key or header."""


class Frozen(BaseModel):
    """A value inside a message."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Message(Frozen):
    """A fact or a command. `account_id` is the Kafka key, so that what concerns one account keeps its order."""

    topic: ClassVar[str]

    account_id: AccountId


@dataclass(frozen=True)
class Park:
    """A list handler's word on one message it can't accept: parked with its bytes, the rest of the batch goes on."""

    message: Message
    reason: str
    text: str


class Erased(Exception):  # noqa: N818 - it names what the value is
    """The key of a sealed value was dropped: nobody can read it any more."""


class Unacceptable(Exception):  # noqa: N818 - it names what the message is, and the runtime parks it at once
    """A message that no repetition will make acceptable. `reason` is a stable code; `text` says what to do."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text
