"""Title's pages, asked as the gateway asks them: what is there, what is not there yet, and what cannot be."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from services.title.app import MIGRATIONS, build
from shared.runtime.database import Database
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.integration.gateway.test_numbers import NO_ID
from tests.integration.title.test_title import NOW, Titles
from tests.support.edge import asking_behind
from tests.support.world import an_account

pytestmark = pytest.mark.database


@pytest.fixture
async def database(open_database: OpenDatabase) -> Database:
    return await open_database(MIGRATIONS)


@pytest.fixture
async def pages(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking_behind(build(Settings()), database) as http:
        yield http


@pytest.mark.parametrize("account_id", NO_ID)
@pytest.mark.parametrize("page", ["", "/titles", "/recipients"])
async def test_an_account_that_cannot_be_is_refused(page: str, account_id: str, pages: httpx2.AsyncClient) -> None:
    answer = await pages.get(f"/accounts/{account_id}{page}")
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert [one["field"] for one in answer.json()["errors"]] == ["path.account_id"]
    assert "Correct these fields" in answer.json()["detail"]


@pytest.mark.parametrize("account_id", [1, 2**52])
async def test_an_account_that_is_not_there_yet_is_said_to_come(account_id: int, pages: httpx2.AsyncClient) -> None:
    answer = await pages.get(f"/accounts/{account_id}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert answer.json()["account_id"] == account_id
    assert "appears when the account system has published it" in answer.json()["detail"]
    assert (await pages.get(f"/accounts/{account_id}/titles")).json() == []
    assert (await pages.get(f"/accounts/{account_id}/recipients")).json() == []


async def test_the_pages_show_the_account_its_title_and_its_recipient(
    database: Database, pages: httpx2.AsyncClient
) -> None:
    fact = an_account(1, at=NOW)
    await Titles(database).registered(fact)
    account = (await pages.get("/accounts/1")).json()
    (title,) = (await pages.get("/accounts/1/titles")).json()
    assert (account["status"], account["recipient"]["mailbox"]) == ("open", fact.mailbox)
    assert (title["status"], title["name"], title["findings"]) == ("active", "示例科技有限公司", [])
    assert (await pages.get("/accounts/1/recipients")).json() == [account["recipient"]]
    assert (await pages.get("/accounts/2/titles")).json() == []


async def test_no_page_is_shown_without_the_token_between_services(pages: httpx2.AsyncClient) -> None:
    for page in ("", "/titles", "/recipients"):
        answer = await pages.get(f"/accounts/1{page}", headers={"Authorization": "Bearer kp_guessed"})
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
