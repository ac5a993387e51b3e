"""Erasures as title sees them, its keys through an upgrade and a new master key, and what its routes answer."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import asyncpg
import httpx2
import pytest
from pydantic import SecretStr

from services.title.accounts.rules import Account
from services.title.app import MIGRATIONS, build
from services.title.erasures.rules import Erasure, decide
from shared.contracts.invoicing import AccountAtRest
from shared.contracts.titles import AccountErased, AccountErasureStarted
from shared.contracts.topics import TOPICS
from shared.domain.calendar import SHANGHAI
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from shared.runtime.sealing import Sealer
from shared.runtime.settings import Settings
from shared.runtime.web import web_app
from tests.support.databases import Databases
from tests.support.dumped import dumped
from tests.support.edge import OPERATOR, TOKEN, asking, operations_of, runtime_of
from tests.support.stage import Stage
from tests.support.world import SETTINGS, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
LATER = NOW + timedelta(minutes=5)
OPEN = Account(1, "open", 4, NOW, None)
ERASED = Account(1, "open", 5, LATER, LATER)
STARTED, ENDED = Erasure(1, 5, LATER), Erasure(1, 5, LATER, LATER)


@pytest.mark.parametrize(
    ("account", "last", "answer", "begun", "told"),
    [
        (None, None, None, (), ()),
        (OPEN, None, STARTED, (STARTED,), (AccountErasureStarted(account_id=1, version=5),)),
        (ERASED, STARTED, STARTED, (), (AccountErasureStarted(account_id=1, version=5),)),
        (ERASED, ENDED, ENDED, (), (AccountErased(account_id=1, version=5),)),
    ],
    ids=["nobody there", "new", "asked again while it lasts", "asked again after it"],
)
def test_an_erasure_begins_once_and_is_told_as_often_as_it_is_asked_for(
    account: Account | None, last: Erasure | None, answer: object, begun: object, told: object
) -> None:
    decision = decide(account, last, LATER)
    assert (decision.answer, decision.begun, decision.messages) == (answer, begun, told)


def test_an_account_that_registered_anew_is_erased_anew_and_never_before_it_registered() -> None:
    anew = Account(1, "open", 9, LATER + timedelta(minutes=2), LATER)
    decision = decide(anew, ENDED, LATER)
    assert decision.begun == (Erasure(1, 10, LATER + timedelta(minutes=2)),)


@dataclass
class Office:
    """Title on a stage, as services and operators reach it."""

    stage: Stage
    http: httpx2.AsyncClient
    operations: httpx2.AsyncClient

    @property
    def database(self) -> Database:
        return self.stage.processes["title"].database

    async def status(self, path: str) -> tuple[int, str | None]:
        answer = await self.http.get(path)
        return answer.status_code, answer.json().get("code") if answer.status_code >= 400 else None

    async def erase(self, account_id: int = 1) -> httpx2.Response:
        body = {"by": "li", "reason": "case 1"}
        return await self.operations.post(f"/ops/accounts/{account_id}/erasure", json=body, headers=OPERATOR)

    async def rests(self, version: int) -> None:
        self.stage.publish(AccountAtRest(account_id=1, version=version), source="/kaipiao/invoicing")
        await self.stage.settle()

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        async with self.database.read() as db:
            return [tuple(row) for row in await db.fetch(query)]


@pytest.fixture
async def office(databases: Databases) -> AsyncIterator[Office]:
    stage = Stage(NOW)
    process = await stage.add(build(SETTINGS), databases)
    stage.publish(an_account(1, at=NOW), source="/upstream/accounts")
    await stage.settle()
    token = {"Authorization": f"Bearer {TOKEN}"}
    app = web_app(process.runtime, TOKEN, "title")
    async with asking(app, token) as http, asking(operations_of(process.service, process.database)) as operations:
        yield Office(stage, http, operations)
    await stage.close()


async def test_reads_are_refused_from_the_start_and_keys_go_at_the_end(office: Office) -> None:
    assert (await office.http.get("/accounts/1/sealing-keys")).json()["erased"] is False
    answer = await office.erase()
    assert (answer.status_code, answer.json()["state"]) == (202, "started")
    for path in ("/accounts/1", "/accounts/1/titles", "/accounts/1/recipients"):
        assert await office.status(path) == (410, "ACCOUNT_DATA_ERASED")
    assert len((await office.http.get("/accounts/1/sealing-keys")).json()["wrapped_keys"]) == 1
    await office.rests(version=1)
    assert len((await office.http.get("/accounts/1/sealing-keys")).json()["wrapped_keys"]) == 1, "that was another one"
    await office.rests(version=2)
    assert (await office.http.get("/accounts/1/sealing-keys")).json() == {"wrapped_keys": [], "erased": True}
    state = await office.operations.get("/ops/accounts/1/erasure", headers=OPERATOR)
    assert state.json()["state"] == "erased"
    assert await office.rows("SELECT asked_by, reason FROM erasure") == [("li", "case 1")]


async def test_who_may_ask_for_keys_and_for_an_erasure(office: Office) -> None:
    nobody = {"Authorization": "Bearer no"}
    assert (await office.http.get("/accounts/1/sealing-keys", headers=nobody)).status_code == 401
    assert (await office.operations.post("/ops/accounts/1/erasure", json={}, headers=nobody)).status_code == 401
    assert (await office.http.post("/ops/accounts/1/erasure", json={})).status_code == 404
    assert (await office.erase(99)).status_code == 404
    assert await office.rows("SELECT FROM erasure") == []


async def test_a_new_master_key_wraps_all_keys_anew_and_the_old_one_is_not_needed_any_more(
    office: Office,
) -> None:
    old = SETTINGS.sealing_key.get_secret_value()
    new = "DvC2L1DLfNlpb6vl3a+2lBxqvB8nK2XpKPZ8q5YwyrM="
    for account_id in range(2, 150):
        office.stage.publish(an_account(account_id, at=NOW), source="/upstream/accounts")
    await office.stage.settle()
    key = Sealer.from_setting(old).unwrapped(
        str((await office.rows("SELECT wrapped_key FROM sealing_key WHERE account_id = 1"))[0][0])
    )
    runtime = runtime_of(build(Settings(_env_file=None, sealing_key=SecretStr(f"{new}, {old}"))), office.database)
    (rewrap,) = runtime.runners
    assert [await rewrap.step() for _ in range(3)] == [True, True, False]
    kept = await office.rows("SELECT account_id, wrapped_key FROM sealing_key ORDER BY account_id")
    sealer = Sealer.from_setting(new)
    assert sealer.unwrapped(str(kept[0][1])) == key
    assert len({sealer.unwrapped(str(wrapped)) for _, wrapped in kept}) == 149


async def test_keys_of_a_version_before_are_moved_and_leave_the_outbox(databases: Databases, tmp_path: Path) -> None:
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < "004":
            copy(file, tmp_path)
    dsn, _ = await databases.dsn(tmp_path)
    wrapped = Sealer.from_setting(SETTINGS.sealing_key.get_secret_value()).new_wrapped_key()
    issued = {"topic": "title.events", "key": "1", "value": json.dumps({"account_id": 1, "wrapped_key": wrapped})}
    issued["headers"] = {"ce_type": "SealingKeyIssued"}  # type: ignore[assignment]
    other = issued | {"value": "{}", "headers": {"ce_type": "AccountStatusChanged"}}
    db = await asyncpg.connect(dsn)
    await db.execute(
        "INSERT INTO account (account_id, status, version, wrapped_key, changed_at) VALUES (1, 'open', 1, $1, now())",
        wrapped,
    )
    for records in ([issued, other], [issued], [other]):
        await db.execute("INSERT INTO runtime.outbox (records) VALUES ($1)", json.dumps(records))
    await db.close()
    await migrations.migrate(dsn, MIGRATIONS, datetime.now(UTC))
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]))
    async with database.read() as db:
        left = await db.fetch("SELECT records FROM runtime.outbox ORDER BY outbox_id")
        kept = await db.fetch("SELECT account_id, key_no, wrapped_key FROM sealing_key")
    text = await dumped(database)
    await database.close()
    await databases.drop(dsn)
    bare = issued | {"value": '{"account_id": 1}'}
    assert [json.loads(row["records"]) for row in left] == [[bare, other], [bare], [other]]
    read = TOPICS["title.events"].by_type()["SealingKeyIssued"].model_validate_json(str(bare["value"]))
    assert read.account_id == 1, "who still reads it can"
    assert [tuple(row) for row in kept] == [(1, 1, wrapped)]
    assert text.count(wrapped) == 1
