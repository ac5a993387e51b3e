"""What is said of a question that cannot be answered, or that finds nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.domain.refusals import Refusal, text_of
from shared.runtime.web import Problem


def not_a_moment(as_of: datetime, now: datetime) -> Problem:
    values: dict[str, Any] = {"as_of": as_of.isoformat(), "now": now.isoformat()}
    return Problem(*text_of(Refusal.BAD_AS_OF, values).problem, **values)


def bad_cursor(cursor: str) -> Problem:
    return Problem(*text_of(Refusal.BAD_CURSOR, {"cursor": cursor}).problem, cursor=cursor)


def no_such_subject(subject: str, subjects: Sequence[str]) -> Problem:
    told = text_of(Refusal.NO_SUCH_SUBJECT, {"subject": subject, "subjects": [*subjects]})
    return Problem(*told.problem, subject=subject)


def no_such_item(number: str, places: Sequence[str]) -> Problem:
    """`places`: where there is one of that number that is no item."""
    detail = f"This account has no order or bill {number} (yet); it appears when billing has published it." + "".join(
        f" There is one among {place}: see /{place}?number=." for place in places
    )
    return Problem(404, Refusal.NOT_FOUND, "No such document", detail, number=number, found_in=list(places))


def nothing_reserved(request_id: int) -> Problem:
    detail = (
        f"Nothing was reserved for request {request_id}: it was refused, is not decided yet, or is not this account's."
    )
    return Problem(404, Refusal.NOT_FOUND, "Nothing reserved", detail, request_id=request_id)
