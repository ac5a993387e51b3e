"""Anything told to the ledger in any order ends as the model says: answers, figures and books, on real PostgreSQL."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.integration.ledger.books import Books
from tests.integration.ledger.checking import holds
from tests.support.ledger import Ledger
from tests.support.ledger_happenings import Happening, histories
from tests.support.ledger_model import Model

pytestmark = pytest.mark.database

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # shrinking over a database takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def told(books: Books, happenings: Sequence[Happening], times: int = 1) -> Model:
    """Both are told the same, and say the same; the model once."""
    model = Model()
    for happening in happenings:
        expected = happening.on(model)
        assert await happening.on(books) == expected, happening
        for _ in range(times - 1):
            again = await happening.on(books)
            assert happening.what not in {"reserve", "offset"} or again == expected
        assert await books.state() == model.state(), happening
    return model


@settings(SETTINGS, max_examples=50)
@given(histories())
async def test_the_ledger_does_what_the_model_says(ledger: Ledger, happenings: list[Happening]) -> None:
    books = Books(ledger.database)
    model = await told(books, happenings)
    subjects = {order.subject for order in model.orders.values()}
    assert await books.balances() == {one: (model.available(one), model.deficit(one)) for one in subjects}
    await holds(ledger.database)


@settings(SETTINGS, max_examples=12)
@given(histories())
async def test_what_is_told_twice_ends_as_told_once(ledger: Ledger, happenings: list[Happening]) -> None:
    books = Books(ledger.database)
    model = await told(books, happenings, times=2)
    end = await books.state()
    for happening in happenings:
        waits = happening.what == "refund" and happening.arguments[0] in model.waiting
        if happening.what in {"settle", "refund", "reserve", "offset"} and not waits:
            await happening.on(books)
    assert await books.state() == end, "and once more, long after"
    await holds(ledger.database)
