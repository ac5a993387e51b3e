"""One account cannot use up the edge: how much it may ask at once, and how often."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.demo.client import eventually
from services.gateway.app import MIGRATIONS
from tests.conftest import OpenDatabase
from tests.support.edge import Gateway, echoing, gateway_before

pytestmark = pytest.mark.database


@pytest.fixture
async def narrow(open_database: OpenDatabase) -> AsyncIterator[Gateway]:
    database = await open_database(MIGRATIONS)
    async with (
        echoing() as (url, seen),
        gateway_before(database, url, seen, account_at_once=2, account_per_second=0.01, account_burst=6) as gateway,
    ):
        yield gateway


async def test_an_account_that_waits_for_much_is_refused_and_no_other_notices(narrow: Gateway) -> None:
    mine, others = await narrow.key(7), await narrow.key(8)
    waiting = [asyncio.create_task(narrow.http.get("/v1/cash", headers=mine)) for _ in range(2)]
    await eventually("two under way", lambda: asyncio.sleep(0, len(narrow.seen) == 2))
    refused = await narrow.http.get("/v1/balances", headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (429, "THROTTLED")
    assert (refused.headers["retry-after"], refused.json()["limit"]) == ("1", "2 requests at once")
    assert "Nothing was done" in refused.json()["detail"]
    assert (await narrow.http.get("/v1/balances", headers=others)).status_code == 200
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await narrow.http.get("/v1/balances", headers=mine)).status_code == 200, "what ended holds no place"


async def test_an_account_that_asks_too_often_is_refused_whatever_it_asks(narrow: Gateway) -> None:
    key = await narrow.key(7)
    told = [(await narrow.http.get("/v1/nothing", headers=key)).status_code for _ in range(7)]
    assert told == [404] * 6 + [429]
    posted = await narrow.http.post("/v1/invoice-requests", json={"numbers": ["O1"]}, headers=key)
    assert (posted.status_code, posted.json()["retry_after_seconds"] > 1) == (429, True)
    assert narrow.seen == []
