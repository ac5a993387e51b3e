"""A synchronous standby has what was acknowledged; one that is not, and was cut off, has not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from tests.nemesis.pair import Pair
from tests.nemesis.proxy import Proxies

pytestmark = [pytest.mark.database]


@contextmanager
def pair(synchronous: bool) -> Iterator[Pair]:
    proxies = Proxies()
    running = Pair.start(proxies, synchronous)
    yield running
    running.stop()
    proxies.close()


async def said(running: Pair, query: str) -> int:
    """Through the address that clients know."""
    db = await asyncpg.connect(running.dsn)
    try:
        return int(await db.fetchval(query) or 0)
    finally:
        await db.close()


def test_nothing_acknowledged_is_lost_at_a_promotion_and_the_old_primary_follows_the_new_one() -> None:
    with pair(synchronous=True) as running:

        async def promoted_twice() -> list[int]:
            await said(running, "CREATE TABLE kept (number int)")
            for number in (1, 2):
                await said(running, f"INSERT INTO kept VALUES ({number})")
                await running.promote()
                await running.rejoin()
            return [await said(running, "SELECT sum(number) FROM kept"), running.promotions]

        assert asyncio.run(promoted_twice()) == [3, 2]


def test_what_an_asynchronous_standby_did_not_hear_is_lost() -> None:
    with pair(synchronous=False) as running:

        async def promoted_behind() -> int:
            await said(running, "CREATE TABLE kept (number int)")
            await said(running, "INSERT INTO kept VALUES (1)")
            await running.caught_up()
            running.proxies.tell(running.replication.hang)
            await said(running, "INSERT INTO kept VALUES (2)")
            await running.promote()
            return await said(running, "SELECT sum(number) FROM kept")

        assert asyncio.run(promoted_behind()) == 1
