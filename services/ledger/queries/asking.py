"""How one asks: moments, pages and their cursors. What is misspelled or cannot be is refused, and never ignored."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from asyncpg import Record
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
)

from services.ledger.journal.rules import BEGINNING
from services.ledger.queries import problems
from services.ledger.queries.filters import PAGE_MAX
from shared.contracts.message import Code, Cycle, Id, Number

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _plus(written: object) -> object:
    """The `+` of an offset is a space to whoever reads an address."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", written) if isinstance(written, str) else written


At = Annotated[AwareDatetime, BeforeValidator(_plus)]


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


class Past(Asked):
    as_of: At | None = None

    def moment(self, now: datetime) -> datetime | None:
        """Checked here, to say which moments there are."""
        if self.as_of is None or EARLIEST <= self.as_of <= min(now, LATEST):
            return self.as_of
        raise problems.not_a_moment(self.as_of, now)


WRITTEN: dict[type, Callable[[Any], str]] = {
    datetime: lambda at: f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z",
    str: lambda text: text.encode().hex(),
    int: str,
}
CursorTime = Annotated[AwareDatetime, BeforeValidator(lambda text: datetime.fromisoformat(text.replace(" ", "+")))]
CursorNumber = Annotated[Number, BeforeValidator(lambda text: bytes.fromhex(text).decode())]
Count = Annotated[int, Field(ge=0, le=2**52)]


@dataclass(frozen=True)
class Sorting:
    """How rows are sorted, by columns. A cursor is the last row's key, of characters that an address may have as they are."""

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
            raise problems.bad_cursor(cursor) from None

    def cursor(self, rows: Sequence[Record], limit: int) -> str | None:
        """None when there is no next page."""
        if len(rows) < limit:
            return None
        return "_".join(WRITTEN[type(rows[-1][name])](rows[-1][name]) for name in self.columns)


BY_TIME = Sorting(("occurred_at", "item_id"), (BEGINNING, 0), TypeAdapter(tuple[CursorTime, Id]))
BY_NUMBER = Sorting(("number", "line"), ("", 0), TypeAdapter(tuple[CursorNumber, Count]))
BY_MOVE = Sorting(("item_id", "move_id"), (0, -1), TypeAdapter(tuple[Id, Count]))
BY_PLACE = Sorting(("place",), (-1,), TypeAdapter(tuple[Count]))
