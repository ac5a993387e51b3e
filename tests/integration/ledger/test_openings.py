"""Whoever's balance opens by itself is told of it once, in bounded steps."""

from datetime import datetime, timedelta

import pytest

from services.ledger.balances import changes
from shared.contracts.ledger import BalanceChanged
from shared.domain.calendar import earliest_opening
from tests.support.examples import a_bill, an_order
from tests.support.ledger import MARCH_20, Ledger

pytestmark = pytest.mark.database

OPENING = earliest_opening("202603")
SECOND = timedelta(seconds=1)


async def swept(ledger: Ledger, now: datetime) -> list[int]:
    """How many were noted, step by step."""
    steps: list[int] = []
    while True:
        async with ledger.database.transaction() as db:
            opened = await changes.next_openings(db, now, now)
            if opened is None:
                return steps
            await changes.note_openings(db, opened)
        steps.append(len(opened.accounts))


async def told(ledger: Ledger, now: datetime) -> list[BalanceChanged]:
    """What is published until nobody waits."""
    return [one for one in await ledger.balances_published(now) if isinstance(one, BalanceChanged)]


async def test_a_bill_of_this_month_is_told_of_again_when_it_opens(ledger: Ledger) -> None:
    await ledger.bill(a_bill("B1", 100, cycle="202603"))
    (early,) = await told(ledger, MARCH_20)
    assert early.balances == ()
    assert await swept(ledger, OPENING - SECOND) == []
    assert await swept(ledger, OPENING) == [1]
    (opened,) = await told(ledger, OPENING)
    assert [(one.subject, one.available_fen) for one in opened.balances] == [("ALIYUN_SERVICE", 100)]
    assert opened.version > early.version
    assert await swept(ledger, OPENING + SECOND) == []
    assert await told(ledger, OPENING + SECOND) == []


async def test_many_accounts_that_open_at_once_are_taken_in_bounded_steps(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "OPENINGS_MAX", 4)
    await ledger.bill(*(a_bill("B1", 100, cycle="202603", account_id=account) for account in range(1, 11)))
    assert await swept(ledger, OPENING) == [4, 4, 2]
    assert sorted(one.account_id for one in await told(ledger, OPENING)) == list(range(1, 11))


async def test_what_comes_after_its_opening_needs_no_sweep(ledger: Ledger) -> None:
    await ledger.bill(a_bill("B1", 100, cycle="202603"))
    await swept(ledger, OPENING)
    await told(ledger, OPENING)
    await ledger.bill(a_bill("B2", 50, cycle="202603"), an_order("O1", 7), now=OPENING + SECOND)
    (late,) = await told(ledger, OPENING + SECOND)
    assert sum(one.available_fen for one in late.balances) == 157
