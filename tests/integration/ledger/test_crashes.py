"""A crash at every statement of every transaction, and on both sides of its commit, changes nothing of what comes out.

Each story is told once without a crash and then once for each place where it can be cut off, on an account of its own; then
whoever would do it again does.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.ledger.app import build
from tests.integration.ledger.checking import holds
from tests.integration.ledger.cut_stories import STORIES, Story, allocating, billing, booking, reserving
from tests.integration.ledger.cutting import Cut, CutDatabase, Stand
from tests.support.databases import Databases
from tests.support.ledger import MARCH_20, few_at_once
from tests.support.stage import Stage
from tests.support.world import SETTINGS

pytestmark = pytest.mark.database

LATER = {b"BalanceChanged", b"DeficitOpened", b"DeficitClosed"}
"""Said of changes by a worker, if at all: not the business of these stories."""
PLACES_MIN = 8
"""Two transactions at least, of which each has a statement and two ends."""


@pytest.fixture
async def stand(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    few_at_once(monkeypatch)
    stage = Stage(MARCH_20)
    process = await stage.add(build(SETTINGS), databases, CutDatabase)
    database = process.database
    assert isinstance(database, CutDatabase)
    database.cut = Cut()
    database.owner = await asyncpg.connect(database.dsn)
    yield Stand(stage, process, database.cut)
    await database.owner.close()
    await stage.close()


async def told(stand: Stand, story: Story, account_id: int, kind: str = "", place: int = 0) -> bool:
    """Whether it was cut off."""
    telling = story(stand, account_id)
    await anext(telling)
    stand.cut.arm(kind, place)
    async for _ in telling:
        raise AssertionError("a story has two parts")
    return stand.cut.disarm()


@pytest.mark.parametrize(
    ("story", "kind"),
    [
        *((story, "process") for story in STORIES),
        *((story, "connection") for story in (billing, reserving, allocating, booking)),
    ],
)
async def test_a_crash_anywhere_changes_nothing(stand: Stand, story: Story, kind: str) -> None:
    await told(stand, story, account_id=1)
    expected, places = await stand.outcome(1), 0
    while await told(stand, story, places + 2, kind, places + 1):
        places += 1
        assert await stand.outcome(places + 1) == expected, f"cut at place {places}"
    assert places >= PLACES_MIN
    assert expected["work"] == expected["booking tasks"] == []
    assert [one.decode() for one in expected["said"] if one not in LATER] == STORIES[story]
    await holds(stand.database)
    async with stand.database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM runtime.parked") == 0
        assert await db.fetchval("SELECT count(*) FROM runtime.record_attempt") == 0
