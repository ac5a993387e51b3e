"""What can happen to a ledger, as values, and random histories of it.

Any ledger can be told what happens with `Happening.on`: the model, the rules over a table in memory, the handlers over a database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hypothesis import strategies as st

from tests.support.ledger_model import ORDERS, SUBJECTS, Model


class Told(Protocol):
    """Whatever can be told what happened: at once, or to be awaited."""

    def settle(self, number: str, subject: str, fen: int) -> Any: ...  # noqa: ANN401
    def refund(self, number: str, of: str, fen: int) -> Any: ...  # noqa: ANN401
    def reserve(self, request: int, numbers: Sequence[str], subject: str | None, amount: int | None) -> Any: ...  # noqa: ANN401
    def offset(self, request: int, numbers: Sequence[str], subject: str, amount: int | None) -> Any: ...  # noqa: ANN401
    def book(self, request: int, part: int, wanted: str) -> Any: ...  # noqa: ANN401
    def release(self, request: int) -> Any: ...  # noqa: ANN401


@dataclass(frozen=True)
class Happening:
    """`what` is told with these arguments. Twice is a redelivery; a number used before with another amount is a conflict."""

    what: str
    arguments: tuple[Any, ...]

    def on(self, ledger: Told) -> Any:  # noqa: ANN401
        return getattr(ledger, self.what)(*self.arguments)


def seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 9)) == 7


@st.composite
def next_of(draw: st.DrawFn, model: Model) -> Happening:
    """Something that could happen now: mostly about what there is, now and then about what there is not, or not yet."""
    kinds = ["settle", "refund"]
    kinds += ["reserve"] * (3 if any(map(model.available, SUBJECTS)) else 1)
    kinds += ["book", "book", "book", "release"] if model.requests else []
    kinds += ["offset"] * sum(model.deficit(one) > 0 for one in SUBJECTS) * 2
    return Happening(kind := draw(st.sampled_from(kinds)), draw(ARGUMENTS[kind](model)))


@st.composite
def _settle(draw: st.DrawFn, model: Model) -> tuple[str, str, int]:
    places = [place for place in range(ORDERS) if f"O{place}" not in model.orders]
    place = draw(st.integers(0, ORDERS - 1) if not places or seldom(draw) else st.sampled_from(places))
    return f"O{place}", SUBJECTS[place % len(SUBJECTS)], draw(st.integers(1, 100))


@st.composite
def _refund(draw: st.DrawFn, model: Model) -> tuple[str, str, int]:
    """Of what is invoiced or held, so that there are deficits; now and then of what never was, or under a number known before."""
    number = draw(st.integers(0, len(model.refunds))) if seldom(draw) else len(model.refunds)
    ended = [number for number, order in model.orders.items() if order.invoiced or order.reserved]
    of = f"O{draw(st.integers(0, ORDERS - 1))}" if not ended or seldom(draw) else draw(st.sampled_from(ended))
    order = model.orders.get(of)
    left = 60 if order is None or seldom(draw) else max(1, order.settled - order.refunded)
    return f"F{number:02}", of, draw(st.integers(1, left))


@st.composite
def _reserve(draw: st.DrawFn, model: Model) -> tuple[int, tuple[str, ...], str | None, int | None]:
    numbers = _numbers(draw, model)
    have, owed = sum(map(model.available, SUBJECTS)), sum(map(model.deficit, SUBJECTS))
    edge = [max(1, have - owed + n) for n in (-1, 0, 1)]
    amount = draw(st.one_of(st.none(), st.none(), st.integers(1, have + 1), st.sampled_from(edge)))
    subject = draw(st.sampled_from([None, *SUBJECTS])) if not numbers or seldom(draw) else None
    return _request(draw, model), numbers, subject, amount


@st.composite
def _offset(draw: st.DrawFn, model: Model) -> tuple[int, tuple[str, ...], str, int | None]:
    subject = draw(st.sampled_from([one for one in SUBJECTS if model.deficit(one)]))
    most = model.deficit(subject) + 1 if seldom(draw) else max(1, min(model.deficit(subject), model.available(subject)))
    amount = draw(st.one_of(st.none(), st.integers(1, most), st.integers(1, most)))
    return _request(draw, model), _numbers(draw, model) if seldom(draw) else (), subject, amount


def _request(draw: st.DrawFn, model: Model) -> int:
    """A new one; now and then one that was decided before."""
    return draw(st.sampled_from(sorted(model.answers))) if model.answers and seldom(draw) else len(model.answers) + 1


def _numbers(draw: st.DrawFn, model: Model) -> tuple[str, ...]:
    free = sorted(number for number, order in model.orders.items() if order.can > 0)
    if not free or seldom(draw):
        return tuple(draw(st.lists(st.sampled_from([f"O{n}" for n in range(ORDERS)]), max_size=2, unique=True)))
    return tuple(draw(st.lists(st.sampled_from(free), max_size=3, unique=True)))


@st.composite
def _book(draw: st.DrawFn, model: Model) -> tuple[int, int, str]:
    parts = [(request, part) for request in model.requests for part in range(len(model.parts_of(request)))]
    if not parts:
        return next(iter(model.requests)), -1, "issued"
    fresh = [one for one in parts if one not in model.parts]
    part = draw(st.sampled_from(parts if not fresh or seldom(draw) else fresh))
    wanted = ["issued", "issued", "released"] if part in fresh else ["issued", "released", "credited"]
    return *part, draw(st.sampled_from(wanted))


def _release(model: Model) -> st.SearchStrategy[tuple[int]]:
    return st.sampled_from(sorted(model.answers)).map(lambda request: (request,))


ARGUMENTS: dict[str, Callable[[Model], st.SearchStrategy[tuple[Any, ...]]]] = {
    "settle": _settle,
    "refund": _refund,
    "reserve": _reserve,
    "offset": _offset,
    "book": _book,
    "release": _release,
}


@st.composite
def histories(draw: st.DrawFn, least: int = 20, most: int = 40) -> list[Happening]:
    model, happened = Model(), list[Happening]()
    for _ in range(draw(st.integers(least, most))):
        happened.append(draw(next_of(model)))
        happened[-1].on(model)
    return happened
