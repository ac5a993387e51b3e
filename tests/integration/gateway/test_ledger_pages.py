"""The ledger's pages through the gateway, on real PostgreSQL: every number that was printed is found, and no nonsense gets as
far as a statement."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx2
import pytest

from services.gateway.app import MIGRATIONS as GATEWAY
from services.ledger.app import MIGRATIONS as LEDGER
from services.ledger.app import build
from shared.runtime.database import Database
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.integration.gateway.test_numbers import NEVER_PRINTED, NO_ID, PRINTED, quoted
from tests.support.edge import Gateway, app_of, asking_behind, gateway_before, serving
from tests.support.examples import MARCH_10, a_bill, an_order
from tests.support.ledger import Ledger

pytestmark = pytest.mark.database

BEFORE_ALL_TIME = "0001-01-01T00:00:00+23:59_1"
AFTER_ALL_TIME = "9999-12-31T23:59:59-23:59_1"
BAD_CURSORS = [
    *(f"2026-03-10T02:00:00+00:00_{item_id}" for item_id in ("0", "-1", str(2**52 + 1), str(10**30), "", "x", "\x00")),
    *("_", "1_1", f"{'x' * 20}_1", "2026-03-10T02:00:00.000_1", "2026-13-10T02:00:00+00:00_1", "\x00" * 25 + "_1"),
    *(BEFORE_ALL_TIME, AFTER_ALL_TIME),
]


@pytest.fixture
async def books(open_database: OpenDatabase) -> Database:
    return await open_database(LEDGER)


@pytest.fixture
async def ledger(books: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """The ledger, asked as the gateway asks it."""
    async with asking_behind(build(Settings()), books) as http:
        yield http


@pytest.fixture
async def gateway(books: Database, open_database: OpenDatabase) -> AsyncIterator[Gateway]:
    """The gateway before the real ledger."""
    keys = await open_database(GATEWAY)
    async with (
        serving(app_of(build(Settings()), books)) as url,
        gateway_before(keys, url, seen=[]) as gateway,
    ):
        yield gateway


async def test_every_printed_number_is_found_through_the_gateway(books: Database, gateway: Gateway) -> None:
    await Ledger(books).bill(*(an_order(number, account_id=7) for number in PRINTED))
    key = await gateway.key(7)
    for number in PRINTED:
        answer = await gateway.http.get(f"/v1/items/{quoted(number)}", headers=key)
        assert (answer.status_code, [one["number"] for one in answer.json()]) == (200, [number])


async def test_no_number_leads_to_what_another_account_bought(books: Database, gateway: Gateway) -> None:
    await Ledger(books).bill(an_order("O8", account_id=8))
    for number in ("O8", "../../8/items/O8", "O8/../../../8/items/O8"):
        answer = await gateway.get(f"/v1/items/{quoted(number)}", account_id=7)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert (answer.json()["number"], answer.json()["status"]) == (number, 404)


async def test_the_pages_follow_one_another_through_the_gateway(books: Database, gateway: Gateway) -> None:
    bought = [an_order(f"O{day}", account_id=7, at=MARCH_10 + timedelta(days=day, microseconds=1)) for day in range(3)]
    await Ledger(books).bill(*bought)
    key, found, cursor = await gateway.key(7), [], ""
    while cursor is not None:
        page = (await gateway.http.get(f"/v1/items?limit=1{cursor and f'&cursor={cursor}'}", headers=key)).json()
        found += [one["number"] for one in page["items"]]
        cursor = page["next"]
    assert found == ["O0", "O1", "O2"]


async def test_a_balance_is_followed_down_to_a_document_through_the_gateway(books: Database, gateway: Gateway) -> None:
    await Ledger(books).bill(an_order("A/1", account_id=7), an_order("A/1", account_id=8, cash_fen=1))
    key = await gateway.key(7)

    async def shown(path: str) -> httpx2.Response:
        answer = await gateway.http.get(f"/v1{path}", headers=key)
        assert answer.status_code == 200, answer.text
        return answer

    told = (await shown("/explanation?subject=ALIYUN_SERVICE")).json()
    for line in told["lines"]:
        page = (await shown(f"/explanation/{line['term']}?subject=ALIYUN_SERVICE")).json()
        assert sum(one["fen"] for one in page["documents"]) == line["fen"]
    assert (await shown("/items/totals?cycle=202603")).json()["settled_fen"] == 100_000
    for number in ("A%2F1", "A/1"):
        assert [one["amount_fen"] for one in (await shown(f"/items/{number}/moves")).json()["moves"]] == [100_000]
    assert [one["available_fen"] for one in (await shown("/months")).json()] == [100_000]
    assert (await shown("/usage")).json() == {"usage": [], "next": None}
    assert (await shown("/refunds?state=waiting")).json() == {"refunds": [], "next": None}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/explanation/rumours?subject=ALIYUN_SERVICE", 404, "NOT_FOUND"),
        ("/explanation", 422, "INVALID_REQUEST"),
        ("/balances?asof=2026-03-10T00:00:00Z", 422, "INVALID_REQUEST"),
        ("/balances?as_of=2999-01-01T00:00:00Z", 422, "BAD_AS_OF"),
        ("/items?state=lost", 422, "INVALID_REQUEST"),
        ("/refunds?cursor=x", 422, "BAD_CURSOR"),
        ("/reservations/7/items", 404, "NOT_FOUND"),
        ("/items/O1/moves", 404, "NOT_FOUND"),
    ],
)
async def test_the_ledger_s_no_comes_through_the_gateway(path: str, status: int, code: str, gateway: Gateway) -> None:
    answer = await gateway.get(f"/v1{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_cursor_counts_in_whatever_way_its_time_is_written(books: Database, ledger: httpx2.AsyncClient) -> None:
    await Ledger(books).bill(an_order("O1", at=MARCH_10), an_order("O2", at=MARCH_10 + timedelta(days=1)))
    for written in ("2026-03-10T02:00:00+00:00", "2026-03-10T02:00:00Z", "2026-03-10T10:00:00+08:00"):
        for careful in (quote(written), written):
            page = (await ledger.get(f"/accounts/1/items?cursor={careful}_{2**52}")).json()
            assert [one["number"] for one in page["items"]] == ["O2"]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_a_cursor_that_was_not_made_here_is_refused(cursor: str, ledger: httpx2.AsyncClient) -> None:
    answer = await ledger.get("/accounts/1/items", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"], answer.json()["cursor"]) == (422, "BAD_CURSOR", cursor)
    assert "start again without one" in answer.json()["detail"]


@pytest.mark.parametrize("account_id", NO_ID)
@pytest.mark.parametrize("page", ["balances", "cash", "items", "items/O1"])
async def test_an_account_that_cannot_be_is_refused(page: str, account_id: str, ledger: httpx2.AsyncClient) -> None:
    assert_refused(await ledger.get(f"/accounts/{account_id}/{page}"), "path.account_id")


@pytest.mark.parametrize("number", NEVER_PRINTED)
async def test_a_number_nobody_prints_is_refused(number: str, ledger: httpx2.AsyncClient) -> None:
    assert_refused(await ledger.get(f"/accounts/1/items/{quoted(number)}"), "path.number")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "\x00"),
        ("subject", "two words"),
        ("subject", "x" * 65),
        ("cycle", "\x00"),
        ("cycle", "202613"),
        ("cycle", "2026-03"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", str(10**30)),
    ],
)
async def test_what_no_item_can_have_is_refused(name: str, value: str, ledger: httpx2.AsyncClient) -> None:
    assert_refused(await ledger.get("/accounts/1/items", params={name: value}), f"query.{name}")


async def test_items_are_found_by_subject_and_by_cycle(books: Database, ledger: httpx2.AsyncClient) -> None:
    await Ledger(books).bill(
        an_order("O1"), a_bill("B1", cycle="202602", at=datetime.fromisoformat("2026-03-01T00:00:00Z"))
    )
    by_cycle = (await ledger.get("/accounts/1/items", params={"cycle": "202602"})).json()
    by_subject = (await ledger.get("/accounts/1/items", params={"subject": "ALIYUN_SERVICE"})).json()
    assert [one["number"] for one in by_cycle["items"]] == ["B1"]
    assert [one["number"] for one in by_subject["items"]] == ["B1", "O1"]


def assert_refused(answer: httpx2.Response, field: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert "Correct these fields" in answer.json()["detail"]
