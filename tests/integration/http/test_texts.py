"""Texts that no database holds, numbers that no column holds, JSON that nobody reads: refused with field and reason, and never logged."""

import json
from typing import Any

import httpx2
import pytest
import structlog
from fastapi import APIRouter
from structlog.testing import capture_logs

from services.gateway.app import MIGRATIONS as GATEWAY
from services.invoicing.app import MIGRATIONS, invoicing
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Runtime, Service
from tests.conftest import OpenDatabase
from tests.integration.gateway.test_gateway import assert_invalid
from tests.integration.invoicing.desk import NOW
from tests.support.edge import Gateway, app_of, asking_behind, echoing, gateway_before
from tests.support.world import SETTINGS, FlowWorld, Held

pytestmark = pytest.mark.database

HALF, RAW_HALF = b"\\ud83d", b"\xed\xa0\xbd"
ODD = {
    "half a character": (b'{"numbers": ["O1"], "remark": "call 13900001234 ' + HALF + b'"}', "body.remark"),
    "the other half": (b'{"numbers": ["O1"], "remark": "\\udc00"}', "body.remark"),
    "raw half a character": (b'{"numbers": ["O1"], "remark": "' + RAW_HALF + b'"}', "body.remark"),
    "NUL": (b'{"numbers": ["O1"], "remark": "a\\u0000b"}', "body.remark"),
    "in a list": (b'{"numbers": ["O1", "' + HALF + b'"]}', "body.numbers.1"),
    "in a place of its own": (b'{"numbers": ["O1"], "kind": {"a": ["\\u0000"]}}', "body.kind.a.0"),
    "not UTF-8": (b'{"numbers": ["O1"], "remark": "\xff"}', "body"),
    "a number of 10,000 digits": (b'{"amount_fen": ' + b"9" * 10_000 + b"}", "body"),
    "nested 20,000 times": (b'{"numbers": ' + b"[" * 20_000 + b"}", "body"),
    "over-long": (json.dumps({"numbers": ["O1"], "remark": "x" * 1001}).encode(), "body.remark"),
    "not a number": (b'{"amount_fen": NaN}', "body.amount_fen"),
    "more than all": (b'{"amount_fen": 1e400}', "body.amount_fen"),
    "a long one": (b'{"amount_fen": 99999999999999999999}', "body.amount_fen"),
    "of another kind": (b'[{"numbers": ["O1"]}]', "body"),
}
HEADERS = {"Idempotency-Key": "k1", "Content-Type": "application/json"}


@pytest.fixture
async def gateway(open_database: OpenDatabase) -> Any:  # noqa: ANN401 - an async generator
    database = await open_database(GATEWAY)
    async with echoing() as (url, seen), gateway_before(database, url, seen) as gateway:
        yield gateway


@pytest.fixture
async def owner(open_database: OpenDatabase, tmp_path: Any) -> Any:  # noqa: ANN401 - an async generator
    """Invoicing, as whoever has the service token asks it past the gateway."""
    world = FlowWorld(NOW)
    service = invoicing(SETTINGS, world.platforms, None, ObjectStore(tmp_path.as_uri()), Held())  # type: ignore[arg-type]
    async with asking_behind(service, await open_database(MIGRATIONS)) as http:
        yield http


@pytest.mark.parametrize(("body", "field"), ODD.values(), ids=ODD)
async def test_odd_texts_and_numbers_are_refused_with_field_and_reason(
    body: bytes, field: str, gateway: Gateway, owner: httpx2.AsyncClient
) -> None:
    key = await gateway.key(7)
    for answer in (
        await gateway.http.post("/v1/invoice-requests", content=body, headers=key | HEADERS),
        await owner.post("/accounts/7/invoice-requests", content=body, headers=HEADERS),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST"), answer.text
        assert {one["field"] for one in answer.json()["errors"]} == {field}
        assert all(one["message"] for one in answer.json()["errors"])
    assert gateway.seen == []


@pytest.mark.parametrize("path", ["/v1/deficit-offsets", "/v1/invoices/26332000000000000001/credit-notes"])
async def test_every_body_is_looked_at(path: str, gateway: Gateway) -> None:
    for body in (b'{"a": "\\u0000"}', b'{"\\ud83d": 1}', b'{"remark": "\\udfff"}'):
        answer = await gateway.http.post(path, content=body, headers=await gateway.key(7) | HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_what_an_operator_writes_is_looked_at_too(gateway: Gateway) -> None:
    from tests.support.edge import OPERATOR  # noqa: PLC0415

    body = b'{"account_id": 1, "name": "\\ud83d"}'
    answer = await gateway.operations.post("/ops/api-keys", content=body, headers=OPERATOR | HEADERS)
    assert_invalid(answer, "body.name")
    for path in ("/ops/parked/99999999999999999999", "/ops/parked?after=99999999999999999999", "/ops/parked/0"):
        assert (await gateway.operations.get(path, headers=OPERATOR)).status_code == 422


FAR = ["0", "-1", str(2**52 + 2), str(2**63), "9" * 20, "9" * 5000, "1.5", "1e3", "", "x", "%00", "%ED%A0%BD"]


@pytest.mark.parametrize("number", FAR)
@pytest.mark.parametrize("page", ["invoice-requests", "invoices", "credit-notes"])
async def test_a_page_begins_where_one_can(page: str, number: str, owner: httpx2.AsyncClient) -> None:
    answer = await owner.get(f"/accounts/7/{page}?before={number}")
    assert_invalid(answer, "query.before")


@pytest.mark.parametrize("number", [one for one in FAR if one])
@pytest.mark.parametrize(
    "path", ["/accounts/{}/invoices", "/accounts/7/invoice-requests/{}", "/accounts/7/credit-notes/{}"]
)
async def test_an_id_in_a_path_is_one(path: str, number: str, owner: httpx2.AsyncClient) -> None:
    answer = await owner.get(path.format(number))
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize("number", ["%00", "%ED%A0%BD", "x" * 65, "%7F"])
@pytest.mark.parametrize("path", ["invoices/{}", "invoices/{}/files/pdf", "invoices/1/files/{}"])
async def test_a_text_in_a_path_is_short_and_printable(path: str, number: str, owner: httpx2.AsyncClient) -> None:
    assert (await owner.get(f"/accounts/7/{path.format(number)}")).status_code == 422


# what goes wrong all the same


class Personal(Exception):  # noqa: N818 - it stands for any
    """Its text is somebody's phone number."""


def broken(_: Runtime) -> APIRouter:
    router = APIRouter()

    @router.get("/broken")
    async def fail() -> None:
        raise Personal("call 13900001234")

    return router


async def test_a_bug_is_logged_by_its_type_and_place_and_answered_without_its_text(
    open_database: OpenDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.reset_defaults()
    service = Service("broken", GATEWAY, routes=broken)
    app = app_of(service, await open_database(GATEWAY))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    headers = {"Authorization": "Bearer between-us"}
    with capture_logs() as logged:
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
            answer = await http.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    (line,) = [one for one in logged if one["event"] == "request failed"]
    assert line["error"] == "Personal"
    assert line["at"].startswith("test_texts.py:")
    assert "139" not in str(logged) + answer.text + caplog.text


@pytest.mark.parametrize("path", ["/v1/balances/", "/v1//balances", "/v1/invoices/"])
async def test_a_slash_too_many_leads_nowhere(path: str, gateway: Gateway) -> None:
    for headers in ({}, await gateway.key(7)):
        answer = await gateway.http.get(path, headers=headers | {"Host": "evil.example"})
        assert answer.status_code in (401, 404, 422)
        assert "location" not in answer.headers


async def test_no_listener_redirects(gateway: Gateway, owner: httpx2.AsyncClient) -> None:
    assert (await owner.get("/accounts/7/invoices/")).status_code in (404, 422)
    for path in ("/ops/parked/", "/livez/"):
        assert (await gateway.operations.get(path)).status_code in (401, 404)
