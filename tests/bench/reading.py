"""What people look at in an account of a million items, beside the same look at an account of a thousand: size should not matter."""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from asyncpg import Connection

from services.ledger.balances import store as pages
from services.ledger.items import store as searching
from tests.bench.items import (
    BEGINNING,
    FEN,
    MILLION,
    one_account_of_a_million,
    one_account_of_a_thousand,
    seconds_apart,
)
from tests.bench.report import Measured, median
from tests.bench.stand import Stand

ROUNDS, PAGE, ACCOUNT = 21, 50, 1
FILTERS: dict[str, Mapping[str, object]] = {
    "subject": {"subject": "ALIYUN_SERVICE"},
    "subject and month": {"subject": "ALIYUN_SERVICE", "cycle": "202501"},
    "state": {"state": "open"},
    "number": {"number": "P000000007"},
    "least sum": {"min_fen": FEN},
    "what nothing meets": {"subject": "BAINIAN_SERVICE"},
}

Look = Callable[[Connection], Awaitable[object]]


def looks(items: int) -> dict[str, list[Look]]:
    """By measurement; the slowest look counts."""
    now = datetime.now(UTC)

    def page(skipped: int, asked: Mapping[str, object]) -> Look:
        after = (BEGINNING + timedelta(seconds=seconds_apart(items) * skipped - 1), 0)
        return lambda db: searching.items(db, ACCOUNT, asked, now, after, PAGE)

    return {
        "items.page.1m": [page(skipped, {}) for skipped in (0, items // 2, items - PAGE)],
        "items.page.1m.filtered": [page(skipped, asked) for asked in FILTERS.values() for skipped in (0, items // 2)],
        "balance.1m": [lambda db: pages.sums(db, ACCOUNT, now)],
        "months.1m": [lambda db: pages.months(db, ACCOUNT, {})],
    }


async def looking(stand: Stand) -> list[Measured]:
    async with (
        stand.ledger(one_account_of_a_million) as large,
        stand.ledger(one_account_of_a_thousand) as small,
        large.read(ACCOUNT) as many,
        small.read(ACCOUNT) as few,
    ):
        of_many, of_few = looks(MILLION), looks(1000)
        found = []
        for name in of_many:
            slowest = max([await _beside(a, many, b, few) for a, b in zip(of_many[name], of_few[name], strict=True)])
            found.append(Measured(name, slowest[0], "ms", ROUNDS, "of 1,000 items", slowest[1]))
    return found


async def _beside(look: Look, many: Connection, other: Look, few: Connection) -> tuple[float, float]:
    """Medians of milliseconds, in turn."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for one, db, values in ((look, many, found[0]), (other, few, found[1])):
            began = time.perf_counter()
            await one(db)
            values.append((time.perf_counter() - began) * 1000)
    return median(found[0]), median(found[1])
