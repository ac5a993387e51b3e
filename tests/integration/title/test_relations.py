"""Relations between a managing account and its members: told on, once for each word, the latest by business time."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.title.app import MIGRATIONS
from services.title.relations import handlers
from shared.contracts.accounts import RelationChanged
from shared.contracts.message import Message
from shared.contracts.titles import MemberChanged
from shared.runtime.database import Database
from tests.conftest import OpenDatabase
from tests.support.examples import MARCH_10

pytestmark = pytest.mark.database


async def said(database: Database, *permissions: str, day: int = 0) -> Sequence[Message]:
    fact = RelationChanged(
        account_id=1, member_id=2, occurred_at=MARCH_10 + timedelta(days=day), permissions=permissions
    )
    async with database.transaction() as db:
        return await handlers.relation_changed(fact, db, MARCH_10)


async def test_each_word_is_told_with_a_higher_version(open_database: OpenDatabase) -> None:
    database = await open_database(MIGRATIONS)
    granted = MemberChanged(account_id=1, member_id=2, version=1, permissions=("MANAGE_TARGET_INVOICE",))
    assert await said(database, "MANAGE_TARGET_INVOICE") == [granted]
    assert await said(database, day=1) == [MemberChanged(account_id=1, member_id=2, version=2)]


async def test_an_older_word_that_comes_late_changes_nothing(open_database: OpenDatabase) -> None:
    database = await open_database(MIGRATIONS)
    await said(database, day=1)
    assert await said(database, "MANAGE_TARGET_INVOICE") == []
