"""What is said of a question that cannot be answered: each code once, with the sentence that comes with it."""

from collections.abc import Sequence
from datetime import datetime

from shared.runtime.web import Problem


def not_a_moment(as_of: datetime, now: datetime) -> Problem:
    written = as_of.isoformat()
    detail = f"{written} is not a past moment since 2000; it is {now.isoformat()}. Leave as_of out to ask about now."
    return Problem(422, "BAD_AS_OF", "Not a moment to look back to", detail, as_of=written, now=now.isoformat())


def bad_cursor(cursor: str) -> Problem:
    detail = f"The cursor {cursor} was not made here; start again without one."
    return Problem(422, "BAD_CURSOR", "Bad cursor", detail, cursor=cursor)


def no_such_subject(subject: str, subjects: Sequence[str]) -> Problem:
    detail = f"There is no subject {subject}; name one of {', '.join(subjects)}."
    return Problem(404, "NO_SUCH_SUBJECT", "No such subject", detail, subject=subject)


def no_such_item(number: str, places: Sequence[str]) -> Problem:
    """`places`: where there is one of that number that is no item."""
    detail = f"This account has no order or bill {number} (yet); it appears when billing has published it." + "".join(
        f" There is one among {place}: see /{place}?number=." for place in places
    )
    return Problem(404, "NOT_FOUND", "No such document", detail, number=number, found_in=list(places))


def nothing_reserved(request_id: int) -> Problem:
    detail = (
        f"Nothing was reserved for request {request_id}: it was refused, is not decided yet, or is not this account's."
    )
    return Problem(404, "NOT_FOUND", "Nothing reserved", detail, request_id=request_id)
