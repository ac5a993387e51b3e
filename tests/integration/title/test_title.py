"""Title's handlers on real PostgreSQL: done, ignored, late and out of order."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from services.title.accounts.rules import WrappedKey
from services.title.app import MIGRATIONS
from services.title.registrations import handlers
from services.title.titles.rules import INDIVIDUAL
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, RecipientChanged, TitleChanged
from shared.domain.calendar import SHANGHAI
from shared.runtime.database import Database
from shared.runtime.sealing import Sealer
from tests.conftest import OpenDatabase
from tests.support.world import an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
SEALER = Sealer(b"0" * 32)


class Titles:
    """Title's handlers over one database; what they said, and the key they said it with."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.key = ""

    async def registered(self, fact: AccountRegistered) -> Sequence[Message]:
        async with self.database.transaction() as db:
            said = await handlers.account_registered(fact, db, NOW, new_key=self.new_key, seal=SEALER.seal)
        return self._heard(said)

    async def changed(self, name: str) -> Sequence[Message]:
        registration = an_account(1, name=name, at=NOW).registration
        fact = RegistrationChanged(account_id=1, occurred_at=NOW, registration=registration)
        async with self.database.transaction() as db:
            said = await handlers.registration_changed(fact, db, NOW, new_key=self.new_key, seal=SEALER.seal)
        return self._heard(said)

    async def closed(self) -> Sequence[Message]:
        fact = AccountClosed(account_id=1, occurred_at=NOW)
        async with self.database.transaction() as db:
            return self._heard(await handlers.account_closed(fact, db, NOW))

    def _heard(self, said: Sequence[Message]) -> Sequence[Message]:
        return said

    def new_key(self) -> WrappedKey:
        """The first that is offered is the one that is kept."""
        self.key = self.key or SEALER.new_wrapped_key()
        return WrappedKey(self.key, SEALER.master_id)

    def names(self, said: Sequence[Message]) -> list[tuple[str, str]]:
        return [
            (one.status, SEALER.unseal(self.key, one.name, "1/name")) for one in said if isinstance(one, TitleChanged)
        ]


@pytest.fixture
async def titles(open_database: OpenDatabase) -> Titles:
    return Titles(await open_database(MIGRATIONS))


async def test_a_registered_account_is_told_with_title_recipient_and_status(titles: Titles) -> None:
    said = await titles.registered(an_account(1, at=NOW))
    assert [type(one) for one in said] == [TitleChanged, RecipientChanged, AccountStatusChanged]
    assert titles.names(said) == [("active", "示例科技有限公司")]
    assert "示例" not in "".join(one.model_dump_json() for one in said)


async def test_a_natural_person_is_titled_with_one_word(titles: Titles) -> None:
    said = await titles.registered(an_account(1, "individual", "张三", at=NOW))
    assert titles.names(said) == [("active", INDIVIDUAL)]


async def test_the_same_registration_again_changes_no_title_and_makes_no_key(titles: Titles) -> None:
    await titles.registered(an_account(1, at=NOW))
    said = await titles.registered(an_account(1, at=NOW))
    assert [type(one) for one in said] == [RecipientChanged, AccountStatusChanged]
    async with titles.database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM sealing_key") == 1


async def test_a_changed_registration_replaces_the_active_title(titles: Titles) -> None:
    await titles.registered(an_account(1, at=NOW))
    said = await titles.changed("新名称有限公司")
    assert titles.names(said) == [("inactive", "示例科技有限公司"), ("active", "新名称有限公司")]
    assert await titles.changed("新名称有限公司") == []
    async with titles.database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM title WHERE status = 'active'") == 1


async def test_a_closing_that_comes_before_the_registration_is_not_lost(titles: Titles) -> None:
    await titles.closed()
    said = await titles.registered(an_account(1, at=NOW))
    (status,) = [one for one in said if isinstance(one, AccountStatusChanged)]
    assert status.status == "closed"


async def test_versions_grow_with_every_change(titles: Titles) -> None:
    said = [*await titles.registered(an_account(1, at=NOW)), *await titles.changed("新名称"), *await titles.closed()]
    versions = [one.version for one in said if isinstance(one, TitleChanged | RecipientChanged | AccountStatusChanged)]
    assert versions == sorted(versions)
    assert versions[-1] == 3
