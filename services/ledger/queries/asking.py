"""How one asks: filters, moments, pages and their cursors. What is misspelled or cannot be is refused, and never ignored."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from asyncpg import Record
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from services.ledger.intake.rules import BEGINNING
from services.ledger.items.store import PAGE_MAX, REFUND_STATES, STATES
from shared.contracts.message import Code, Cycle, Id, Number
from shared.runtime.web import Problem

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

State = Literal[
    "open",
    "not_open_yet",
    "not_invoiceable",
    "reserved",
    "partly_invoiced",
    "invoiced",
    "refunded",
    "in_deficit",
    "offset",
    "deficit_paid",
]
STATES_TEXT = (
    "open: something of it may be invoiced now; not_open_yet: its month opens later; not_invoiceable: the vendor invoices it, or "
    "nobody; reserved: a request holds some of it; partly_invoiced: some is on invoices, and some is left or reserved; invoiced: what "
    "was left of it is on invoices; refunded: a refund hit it; in_deficit: more was refunded than was left; offset: some of it paid "
    "a deficit; deficit_paid: others paid its deficit, or part of it. A document may be in several."
)
RefundState = Literal["waiting", "attached"]
assert {*STATES} == {*State.__args__}, "each word has its predicate"  # type: ignore[attr-defined]
assert {*REFUND_STATES} == {*RefundState.__args__}  # type: ignore[attr-defined]


def _plus(written: object) -> object:
    """The `+` of an offset is a space to whoever reads an address."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", written) if isinstance(written, str) else written


At = Annotated[AwareDatetime, BeforeValidator(_plus)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Amount = Annotated[int, Field(ge=0, le=2**62)]


class Asked(BaseModel):
    """Query parameters. An unknown one is a mistake of which nobody would ever know if it were ignored."""

    model_config = ConfigDict(extra="forbid")

    def filters(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True, exclude={"cursor", "limit", "as_of"})


class Paged(Asked):
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 50


class OfSums(Asked):
    subject: Code | None = None
    cycle: Cycle | None = None


class OfItems(OfSums):
    """`number`: of an order, bill or contract. Amounts are what was settled, times the business time; `until` is not in it."""

    number: Number | None = None
    product: Code | None = None
    item_name: Words | None = None
    state: Annotated[State, Field(description=STATES_TEXT)] | None = None
    min_fen: Amount | None = None
    max_fen: Amount | None = None
    since: Annotated[At, Field(ge=EARLIEST, le=LATEST)] | None = None
    until: Annotated[At, Field(ge=EARLIEST, le=LATEST)] | None = None

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        if self.min_fen is not None and self.max_fen is not None and self.min_fen > self.max_fen:
            raise ValueError("min_fen is above max_fen")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since is not before until")
        return self


class ItemSearch(OfItems, Paged):
    pass


class UsageSearch(OfSums, Paged):
    number: Number | None = None


class RefundSearch(Paged):
    number: Number | None = None
    state: RefundState | None = None


class Past(Asked):
    as_of: At | None = None

    def moment(self, now: datetime) -> datetime | None:
        """Checked here, to say which moments there are."""
        if self.as_of is None or EARLIEST <= self.as_of <= min(now, LATEST):
            return self.as_of
        written = self.as_of.isoformat()
        detail = (
            f"{written} is not a past moment since 2000; it is {now.isoformat()}. Leave as_of out to ask about now."
        )
        raise Problem(422, "BAD_AS_OF", "Not a moment to look back to", detail, as_of=written, now=now.isoformat())


class OfSubject(Past):
    subject: Code


class TermSearch(OfSubject, Paged):
    pass


WRITTEN: dict[type, Callable[[Any], str]] = {
    datetime: lambda at: f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z",
    str: lambda text: text.encode().hex(),
    int: str,
}
CursorTime = Annotated[AwareDatetime, BeforeValidator(lambda text: datetime.fromisoformat(text.replace(" ", "+")))]
CursorNumber = Annotated[Number, BeforeValidator(lambda text: bytes.fromhex(text).decode())]
Count = Annotated[int, Field(ge=0, le=2**52)]


@dataclass(frozen=True)
class Order:
    """An order of rows by columns. A cursor is the last row's key, of characters that an address may have as they are."""

    columns: tuple[str, ...]
    first: tuple[Any, ...]
    key: TypeAdapter[tuple[Any, ...]]

    def after(self, cursor: str | None) -> tuple[Any, ...]:
        if cursor is None:
            return self.first
        try:
            key = self.key.validate_python(tuple(cursor.split("_")))
            return tuple(one.astimezone(UTC) if isinstance(one, datetime) else one for one in key)
        except (ValueError, OverflowError):
            detail = f"The cursor {cursor} was not made here; start again without one."
            raise Problem(422, "BAD_CURSOR", "Bad cursor", detail, cursor=cursor) from None

    def cursor(self, rows: Sequence[Record], limit: int) -> str | None:
        """None when there is no next page."""
        if len(rows) < limit:
            return None
        return "_".join(WRITTEN[type(rows[-1][name])](rows[-1][name]) for name in self.columns)


BY_TIME = Order(("occurred_at", "item_id"), (BEGINNING, 0), TypeAdapter(tuple[CursorTime, Id]))
BY_NUMBER = Order(("number", "line"), ("", 0), TypeAdapter(tuple[CursorNumber, Count]))
BY_MOVE = Order(("item_id", "move_id"), (0, -1), TypeAdapter(tuple[Id, Count]))
BY_PLACE = Order(("place",), (-1,), TypeAdapter(tuple[Count]))
