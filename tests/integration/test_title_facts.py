"""Title as a whole on a stage: twins, late facts, two at once, an upgrade in place, and what its HTTP routes answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from shutil import copy
from typing import Any

import asyncpg
import httpx2
import pytest

from services.title.accounts.rules import WrappedKey
from services.title.app import MIGRATIONS, build
from services.title.registrations import handlers
from shared.contracts.accounts import AccountClosed, AccountRegistered, Registration, RegistrationChanged
from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.domain.calendar import SHANGHAI
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from shared.runtime.sealing import Sealer
from shared.runtime.transport import Record
from shared.runtime.web import web_app
from tests.conftest import OpenDatabase
from tests.support.databases import Databases
from tests.support.stage import Process, Stage
from tests.support.world import SETTINGS, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
EARLIER, LATER = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)
TOKEN = "between-us"


def a_new_key(sealer: Sealer) -> WrappedKey:
    return WrappedKey(sealer.new_wrapped_key(), sealer.master_id)


@dataclass
class Titles:
    """The title service on a stage; what it has said, and its HTTP routes."""

    stage: Stage
    process: Process
    http: httpx2.AsyncClient

    async def hears(self, *facts: Message, event_id: str | None = None) -> list[Message]:
        """What is said of account 1 after these facts, in the order in which it was said."""
        before = self._said()
        for fact in facts:
            self.stage.publish(fact, event_id, source="/upstream/accounts")
        await self.stage.settle()
        return self._said()[len(before) :]

    def _said(self) -> list[Message]:
        types = TOPICS["title.events"].by_type()
        return [
            types[(dict(record.headers)["ce_type"] or b"").decode()].model_validate_json(record.value or b"")
            for record in self.records()
        ]

    def records(self) -> list[Record]:
        """Of account 1: they share a partition, so they have an order."""
        partitions = self.stage.log.of_topic("title.events")
        return [one for partition in partitions for one in self.stage.log.records[partition] if one.key == b"1"]

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = await self.http.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        return answer.json()

    async def active(self) -> list[str]:
        return [one["name"] for one in await self.get("/accounts/1/titles") if one["status"] == "active"]


@pytest.fixture
async def titles(databases: Databases) -> AsyncIterator[Titles]:
    stage = Stage(NOW)
    process = await stage.add(build(SETTINGS), databases)
    app = web_app(process.runtime, TOKEN, "title")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://title") as http:
        yield Titles(stage, process, http)
    await stage.close()


def changed(name: str, at: datetime = NOW) -> RegistrationChanged:
    return RegistrationChanged(
        account_id=1, occurred_at=at, registration=Registration(kind="enterprise", name=name, tax_id="0")
    )


def named(said: list[Message]) -> list[str]:
    return [type(one).__name__ for one in said]


async def test_a_twin_changes_nothing_and_says_nothing(titles: Titles) -> None:
    for wanted in (["TitleChanged", "RecipientChanged", "AccountStatusChanged"], []):
        assert named(await titles.hears(an_account(1, at=NOW), event_id="e1")) == wanted
    assert named(await titles.hears(changed("新名称"), changed("新名称"), event_id="e2")) == ["TitleChanged"] * 2


async def test_an_earlier_change_that_comes_late_does_not_bring_back_its_title(titles: Titles) -> None:
    await titles.hears(an_account(1, at=EARLIER), changed("晚", LATER))
    assert await titles.hears(changed("早", NOW)) == []
    assert await titles.active() == ["晚"]


async def test_a_registration_that_comes_after_its_change_brings_its_recipient_but_not_its_title(
    titles: Titles,
) -> None:
    assert named(await titles.hears(changed("晚", LATER))) == ["TitleChanged"]
    assert named(await titles.hears(an_account(1, at=NOW))) == ["RecipientChanged", "AccountStatusChanged"]
    assert await titles.active() == ["晚"]
    assert await titles.get("/accounts/1/recipients") == [
        {"mailbox": "finance-1@customer.example", "mobile": "13900000001"}
    ]


async def test_the_same_registration_confirmed_later_still_counts_as_the_later_one(titles: Titles) -> None:
    await titles.hears(an_account(1, at=EARLIER), changed("甲", EARLIER), changed("甲", LATER))
    assert await titles.hears(changed("乙", NOW)) == []
    assert await titles.active() == ["甲"]


async def test_of_two_registrations_with_other_data_the_later_counts_with_its_recipient(titles: Titles) -> None:
    later = an_account(1, name="乙", at=LATER).model_copy(update={"mailbox": "new@customer.example", "mobile": None})
    await titles.hears(later)
    assert named(await titles.hears(an_account(1, name="甲", at=NOW))) == ["AccountStatusChanged"]
    assert await titles.active() == ["乙"]
    assert (await titles.get("/accounts/1"))["recipient"] == {"mailbox": "new@customer.example", "mobile": None}


async def test_a_closing_before_everything_else_is_kept_and_told_again(titles: Titles) -> None:
    closed = AccountClosed(account_id=1, occurred_at=LATER)
    assert named(await titles.hears(closed)) == ["AccountStatusChanged"]
    assert named(await titles.hears(an_account(1, at=NOW)))[-1] == "AccountStatusChanged"
    assert (await titles.get("/accounts/1"))["status"] == "closed"


async def test_two_registrations_at_once_leave_one_title_active_and_one_key(open_database: OpenDatabase) -> None:
    database, sealer = await open_database(MIGRATIONS), Sealer(b"0" * 32)

    async def registered(name: str) -> list[Message]:
        async with database.transaction() as db:
            fact = an_account(1, name=name, at=NOW)
            return await handlers.account_registered(
                fact, db, NOW, new_key=partial(a_new_key, sealer), seal=sealer.seal
            )

    said = [one for told in await asyncio.gather(*map(registered, "甲乙丙丁")) for one in told]
    assert named(said).count("AccountStatusChanged") == 4
    async with database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM sealing_key") == 1
        assert await db.fetchval("SELECT count(*) FROM title WHERE status = 'active'") == 1
        assert await db.fetchval("SELECT version FROM account") == 4


async def test_the_database_itself_refuses_a_second_active_title(open_database: OpenDatabase) -> None:
    database = await open_database(MIGRATIONS)
    insert = """
        INSERT INTO title (account_id, version, status, kind, name, created_at)
        VALUES (1, 1, 'active', 'enterprise', '甲', '2026-03-10')
    """
    async with database.transaction() as db:
        await db.execute(insert)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction() as db:
            await db.execute(insert)


async def test_rows_written_before_the_order_was_kept_take_the_next_registration(
    databases: Databases, tmp_path: Path
) -> None:
    copy(MIGRATIONS / "001_title.sql", tmp_path)
    dsn, _ = await databases.dsn(tmp_path)
    insert = """
        INSERT INTO account (account_id, status, version, wrapped_key, changed_at) VALUES (1, 'open', 1, $1, '2026-03-01')
    """
    sealer = Sealer(b"0" * 32)
    db = await asyncpg.connect(dsn)
    await db.execute(insert, sealer.new_wrapped_key())
    await db.execute("INSERT INTO recipient (account_id, version, mailbox) VALUES (1, 1, 'old@customer.example')")
    await db.close()
    assert await migrations.migrate(dsn, MIGRATIONS, NOW) == [
        "002_late_facts.sql",
        "003_relations.sql",
        "004_erasure.sql",
    ]
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]))
    async with database.transaction() as db:
        fact: AccountRegistered = an_account(1, at=NOW)
        said = await handlers.account_registered(fact, db, NOW, new_key=partial(a_new_key, sealer), seal=sealer.seal)
    await database.close()
    await databases.drop(dsn)
    assert named(said) == ["TitleChanged", "RecipientChanged", "AccountStatusChanged"]


async def test_a_title_with_a_bad_credit_code_says_so_and_a_good_one_has_no_findings(titles: Titles) -> None:
    await titles.hears(an_account(1, at=NOW), an_account(3, "individual", "张三", at=NOW))
    (good,) = await titles.get("/accounts/1/titles")
    assert good["findings"] == []
    (person,) = await titles.get("/accounts/3/titles")
    assert (person["name"], person["tax_id"], person["findings"]) == ("个人", None, [])
    await titles.hears(changed("税号有误", LATER))
    bad, old = await titles.get("/accounts/1/titles")
    assert [one["code"] for one in bad["findings"]] == ["BAD_TAX_ID"]
    assert (bad["status"], old["status"]) == ("active", "inactive")


async def test_of_an_unknown_account_there_is_nothing_to_read(titles: Titles) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await titles.http.get("/accounts/9", headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["account_id"]) == (404, "NOT_FOUND", 9)
    assert await titles.get("/accounts/9/titles") == await titles.get("/accounts/9/recipients") == []


@pytest.mark.parametrize("path", ["", "/titles", "/recipients"])
async def test_no_route_answers_without_the_service_token_or_for_an_impossible_account(
    path: str, titles: Titles
) -> None:
    assert (await titles.http.get(f"/accounts/1{path}")).status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for account in (0, -1, 2**52 + 1, 10**30, "x"):
        answer = await titles.http.get(f"/accounts/{account}{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_nothing_that_is_said_shows_who_the_account_belongs_to(titles: Titles) -> None:
    fact = an_account(1, at=NOW)
    await titles.hears(fact)
    said = b"".join(
        (record.key or b"") + (record.value or b"") + b"".join(value or b"" for _, value in record.headers)
        for record in titles.records()
    ).decode()
    assert said
    personal = [*fact.registration.model_dump(exclude={"kind"}).values(), fact.mailbox, fact.mobile]
    assert [value for value in personal if str(value) in said] == []
