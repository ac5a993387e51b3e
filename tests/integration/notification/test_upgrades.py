"""A database of before: what was told stays told, what was due stays due, and nothing is called by its old name."""

from pathlib import Path
from shutil import copy

import asyncpg
import pytest

from services.notification.app import MIGRATIONS
from services.notification.notices import handlers
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from tests.integration.notification.test_notification import NOW, STORED, claimed
from tests.support.databases import Databases

pytestmark = pytest.mark.database

BEFORE = """
    INSERT INTO notification (account_id, kind, channel, request_id, part_id, subject, text, files, status, created_at)
    SELECT account_id, 'invoice_documents', 'mail', 5, 7, '', '', '[]', 'pending', '2026-03-01' FROM generate_series(1, 9) AS account_id
"""
NAMES = """
    SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


async def test_notifications_become_notices(databases: Databases, tmp_path: Path) -> None:
    for name in ("001_notification.sql", "002_credit_notes.sql"):
        copy(MIGRATIONS / name, tmp_path)
    dsn, _ = await databases.dsn(tmp_path)
    db = await asyncpg.connect(dsn)
    await db.execute(BEFORE)
    assert await migrations.migrate(dsn, MIGRATIONS, NOW) == ["003_notices.sql", "004_retention.sql", "005_erasure.sql"]
    names = {row["name"] for row in await db.fetch(NAMES)}
    await db.close()
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]))
    async with database.transaction() as db:
        assert await handlers.invoice_files_stored(STORED, db, NOW) == []
        assert await db.fetchval("SELECT count(*) FROM notice") == 9
    first = await claimed(database)
    await database.close()
    await databases.drop(dsn)
    assert (first.account_id, first.notice_id, first.tries) == (1, 1, 1)
    assert {
        "notice",
        "notice_0",
        "notice_id",
        "notice_due",
        "notice_pkey",
        "notice_once",
        "notice_status_check",
    } <= names
    assert [name for name in names if name.startswith("notification")] == []
