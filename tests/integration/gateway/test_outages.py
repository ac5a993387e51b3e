"""Owners that are away or silent, and how every "no" looks: a problem with a code, a reason and what to do."""

import pytest

from tests.support.edge import Gateway

pytestmark = pytest.mark.database

PROBLEMS = {
    "without a key": ("GET", "/v1/balances", False, 401, "UNAUTHORIZED"),
    "a page that is not there": ("GET", "/v1/nothing", True, 404, "NOT_FOUND"),
    "a page that takes no DELETE": ("DELETE", "/v1/balances", True, 405, "METHOD_NOT_ALLOWED"),
    "a request that is not well formed": ("GET", "/v1/invoice-requests/0", True, 422, "INVALID_REQUEST"),
    "an owner that is away": ("GET", "/v1/notifications", True, 503, "SERVICE_UNAVAILABLE"),
}


@pytest.mark.parametrize(("method", "path", "with_key", "status", "code"), PROBLEMS.values(), ids=PROBLEMS)
async def test_every_no_is_a_problem(
    method: str, path: str, with_key: bool, status: int, code: str, gateway: Gateway
) -> None:
    await says_no(gateway, method, path, with_key, status, code)


async def test_silence_is_a_problem_too(impatient: Gateway) -> None:
    await says_no(impatient, "GET", "/v1/cash", with_key=True, status=504, code="NO_ANSWER")


async def says_no(gateway: Gateway, method: str, path: str, with_key: bool, status: int, code: str) -> None:
    headers = await gateway.key(7) if with_key else {}
    answer = await gateway.http.request(method, path, headers=headers)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:kaipiao:problem:{code}"
    assert problem["title"]
    assert problem["detail"].endswith(".")


async def test_an_owner_that_is_away_takes_down_only_its_own_pages(gateway: Gateway) -> None:
    key = await gateway.key(7)
    answer = await gateway.http.get("/v1/notifications", headers=key)
    assert (answer.status_code, answer.json()["service"]) == (503, "notification")
    assert answer.headers["retry-after"] == "5"
    assert "Nothing was done" in answer.json()["detail"]
    assert (await gateway.http.get("/v1/balances", headers=key)).status_code == 200


async def test_a_page_without_an_answer_in_time_may_be_asked_for_again(impatient: Gateway) -> None:
    answer = await impatient.get("/v1/cash")
    assert (answer.status_code, answer.json()["service"]) == (504, "ledger")
    assert answer.json()["detail"].endswith("Ask again.")


async def test_a_request_without_an_answer_in_time_may_have_been_taken(impatient: Gateway) -> None:
    headers = await impatient.key(7) | {"Idempotency-Key": "k1"}
    answer = await impatient.http.post("/v1/invoice-requests", json={"numbers": ["SILENT"]}, headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["service"]) == (504, "NO_ANSWER", "invoicing")
    assert "may have done what was asked" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("Repeat it with the same Idempotency-Key: it is done once.")
    assert [one.headers["idempotency-key"] for one in impatient.seen] == ["k1"]
