"""A process whose wall clock is slow takes facts of now for later ones; the clock that all share, the database's, has the last word."""

import json
from datetime import datetime, timedelta

import pytest
from asyncpg import Connection

from shared.runtime.clock import VirtualClock
from tests.support.counting import NOW, Stand

pytestmark = pytest.mark.database

SLOW_BY = timedelta(hours=1)


class SlowClock(VirtualClock):
    async def lease_time(self, db: Connection) -> datetime:
        return await super().lease_time(db) + SLOW_BY


def topped_up(number: str, at: datetime) -> bytes:
    data = {"account_id": 7002, "number": number, "occurred_at": at.isoformat(), "cash_fen": 5}
    attributes = {"specversion": "1.0", "id": number, "source": "/acme", "type": "CashToppedUp", "time": at.isoformat()}
    return json.dumps(attributes | {"data": data}).encode()


@pytest.mark.parametrize("offset", [timedelta(), timedelta(days=3)])
async def test_a_fact_of_now_is_taken_by_a_process_whose_clock_is_slow(
    upstream_stand: Stand, offset: timedelta
) -> None:
    """Also when business time is ahead of real time."""
    upstream_stand.clock = SlowClock(NOW)
    upstream_stand.clock.offset = offset
    upstream_stand.started()
    now = NOW + SLOW_BY + offset
    await upstream_stand.take("account.events", topped_up("now", now))
    assert (await upstream_stand.facts(), await upstream_stand.rows()) == (["now"], [])
    await upstream_stand.take("account.events", topped_up("later", now + timedelta(minutes=6)))
    (row,) = await upstream_stand.rows()
    assert (row.reason, row.redrive_from) == ("FROM_THE_FUTURE", now + timedelta(minutes=1))
