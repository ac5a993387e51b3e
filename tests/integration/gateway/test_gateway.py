"""The edge: who may call, for which account, and what passes through it in both directions."""

import json

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from tests.support.edge import OPERATOR, PDF, PDF_HEADERS, TOKEN, Gateway

pytestmark = pytest.mark.database

PARTS = ("number", "form", "request_id", "credit_note_id", "parked_id")
OPEN_TO_ALL = {"/openapi.json"}
NOT_A_KEY = [
    {},
    {"Authorization": "Bearer kp_wrong"},
    {"Authorization": "Bearer kp_"},
    {"Authorization": "Basic kp_wrong"},
]


def routes(gateway: Gateway) -> set[tuple[str, str]]:
    """Method and path of everything the app answers but what is meant for everybody."""
    contexts = iter_route_contexts(gateway.app.routes)
    found = {(method, one.path_format or "") for one in contexts for method in one.methods or ()}
    return {(method, path) for method, path in found if path not in OPEN_TO_ALL}


@pytest.mark.parametrize("headers", NOT_A_KEY)
async def test_no_route_answers_without_a_key(headers: dict[str, str], gateway: Gateway) -> None:
    asked = routes(gateway)
    assert {("GET", "/v1/items/{number}"), ("POST", "/v1/invoice-requests")} <= asked
    for method, path in asked:
        answer = await gateway.http.request(method, path.format_map(dict.fromkeys(PARTS, "0")), headers=headers)
        assert (method, path, answer.status_code) == (method, path, 401)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "UNAUTHORIZED"
    assert gateway.seen == []


async def test_the_token_between_services_is_no_key_and_a_key_is_no_token(gateway: Gateway) -> None:
    as_customer = await gateway.http.get("/v1/balances", headers={"Authorization": f"Bearer {TOKEN}"})
    body = {"account_id": 1, "name": "x"}
    for headers in ({}, await gateway.key(7), {"Authorization": f"Bearer {TOKEN}"}):
        as_operator = await gateway.operations.post("/ops/api-keys", json=body, headers=headers)
        assert as_operator.status_code == 401
    assert as_customer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/ops/parked", "/ops/api-keys", "/ops/clock", "/docs"]
)
async def test_what_operators_ask_is_not_on_the_customers_listener(path: str, gateway: Gateway) -> None:
    for headers in ({}, await gateway.key(7), OPERATOR):
        assert (await gateway.http.get(path, headers=headers)).status_code == 404


async def test_a_revoked_key_is_refused_and_no_other(gateway: Gateway) -> None:
    revoked, other = await gateway.key(7), await gateway.key(8)
    await gateway.revoke_keys(7)
    answer = await gateway.http.get("/v1/balances", headers=revoked)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert "`kaipiao api-keys create`" in answer.json()["detail"]
    assert (await gateway.http.get("/v1/balances", headers=other)).status_code == 200
    assert len(gateway.seen) == 1


async def test_the_account_is_that_of_the_key(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/items?limit=5&account_id=8", account_id=7)
    assert answer.json()["path"] == "/accounts/7/items"
    assert gateway.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_the_owners_no_goes_through_unchanged(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/items/O404")
    assert (answer.status_code, answer.json()["code"], answer.json()["number"]) == (404, "NOT_FOUND", "O404")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_file_comes_with_its_type_and_name_and_is_not_sniffed(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/invoices/I1/files/pdf")
    assert (answer.status_code, answer.content) == (200, PDF)
    assert {name: answer.headers[name] for name in PDF_HEADERS} == PDF_HEADERS


async def test_repeated_parameters_are_passed_on_as_they_came(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/items?cycle=202601&subject=&cycle=202602&note=a%26b%3D%23+c")
    sent = [("cycle", "202601"), ("cycle", "202602"), ("subject", ""), ("note", "a&b=# c")]
    assert sorted(map(tuple, answer.json()["query"])) == sorted(sent)
    assert [value for name, value in answer.json()["query"] if name == "cycle"] == ["202601", "202602"]


@pytest.mark.parametrize("path", ["/v1/invoice-requests", "/v1/deficit-offsets"])
async def test_asking_for_something_needs_an_idempotency_key(path: str, gateway: Gateway) -> None:
    body = {"subject": "ALIYUN_SERVICE"}
    answer = await gateway.http.post(path, json=body, headers=await gateway.key(7))
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert "idempotency-key: Field required" in answer.json()["detail"]
    assert gateway.seen == []


@pytest.mark.parametrize("idempotency_key", ["", "k" * 65, "two words"])
async def test_an_idempotency_key_is_short_and_printable(idempotency_key: str, gateway: Gateway) -> None:
    headers = await gateway.key(7) | {"Idempotency-Key": idempotency_key}
    answer = await gateway.http.post("/v1/invoice-requests", json={"numbers": ["O1"]}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.json()["errors"][0]["field"] == "header.idempotency-key"


async def test_a_request_arrives_with_its_idempotency_key_and_no_unknown_field(gateway: Gateway) -> None:
    headers = await gateway.key(7) | {"Idempotency-Key": "k1"}
    misspelled = await gateway.http.post("/v1/invoice-requests", json={"number": ["O1"]}, headers=headers)
    assert (misspelled.status_code, misspelled.json()["errors"][0]["field"]) == (422, "body.number")
    taken = await gateway.http.post("/v1/invoice-requests", json={"numbers": ["O1"]}, headers=headers)
    assert json.loads(taken.json()["body"])["numbers"] == ["O1"]
    assert [one.headers["idempotency-key"] for one in gateway.seen] == ["k1"]


@pytest.mark.parametrize("wrong", [{"account_id": 0}, {"account_id": 10**30}, {"name": ""}, {"name": "a\x00b"}])
async def test_a_key_is_made_only_for_an_account_that_can_be(wrong: dict[str, object], gateway: Gateway) -> None:
    body = {"account_id": 1, "name": "x"} | wrong
    answer = await gateway.operations.post("/ops/api-keys", json=body, headers=OPERATOR)
    assert_invalid(answer, f"body.{next(iter(wrong))}")


def assert_invalid(answer: httpx2.Response, field: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_a_credit_note_is_asked_for_of_one_invoice_and_arrives_with_its_key(gateway: Gateway) -> None:
    number, headers = "26332000000000000001", await gateway.key(7) | {"Idempotency-Key": "c1"}
    answer = await gateway.http.post(
        f"/v1/invoices/{number}/credit-notes", json={"reason": "sales_return"}, headers=headers
    )
    assert answer.json()["path"] == f"/accounts/7/invoices/{number}/credit-notes"
    assert gateway.seen[-1].headers["idempotency-key"] == "c1"
    for path, body in (
        (f"/v1/invoices/{number}/credit-notes", {"reason": "bored"}),
        ("/v1/invoices/7/credit-notes", {}),
    ):
        assert (await gateway.http.post(path, json=body, headers=headers)).status_code == 422
    assert (await gateway.get("/v1/credit-notes/5")).json()["path"] == "/accounts/7/credit-notes/5"
    assert (await gateway.get("/v1/credit-notes/x")).status_code == 422
