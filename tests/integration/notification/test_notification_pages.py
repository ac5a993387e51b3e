"""What an account was told, asked as the gateway asks it: newest first, page by page, its own only."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from services.notification.app import MIGRATIONS, build
from services.notification.notices import handlers
from shared.runtime.database import Database
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.integration.notification.test_notification import FACTS, NOW
from tests.support.edge import asking_behind

pytestmark = pytest.mark.database


@pytest.fixture
async def database(open_database: OpenDatabase) -> Database:
    return await open_database(MIGRATIONS)


@pytest.fixture
async def pages(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking_behind(build(Settings()), database) as http:
        yield http


async def test_http_calls_a_notice_a_notification(database: Database, pages: httpx2.AsyncClient) -> None:
    _, voided, _ = FACTS["voided"]
    async with database.transaction() as db:
        await handlers.invoice_voided(voided, db, NOW)  # type: ignore[arg-type]
    (shown,) = (await pages.get("/accounts/1/notifications")).json()
    assert shown == {
        "notification_id": 1,
        "kind": "invoice_voided",
        "channel": "inbox",
        "request_id": 5,
        "part_id": 7,
        "subject": "开票申请已取消",
        "text": shown["text"],
        "status": "sent",
        "reason": None,
        "created_at": "2026-03-10T02:00:00Z",
        "ended_at": "2026-03-10T02:00:00Z",
    }
    assert (await pages.get("/accounts/2/notifications")).json() == []


async def test_the_pages_follow_one_another(database: Database, pages: httpx2.AsyncClient) -> None:
    for handler, fact, _ in FACTS.values():
        async with database.transaction() as db:
            await handler(fact, db, NOW)  # type: ignore[operator]
    found: list[int] = []
    while page := (await pages.get(f"/accounts/1/notifications?limit=4&before={min(found, default=2**52)}")).json():
        found += [one["notification_id"] for one in page]
    assert found == sorted(found, reverse=True)
    assert len(found) == sum(len(channels) for *_, channels in FACTS.values())
