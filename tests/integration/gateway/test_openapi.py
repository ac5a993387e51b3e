"""The gateway says what comes back, of its own and of its owners' answers, and hands on theirs byte for byte."""

from typing import Any

import pytest

from services.gateway.v1.reads import READS
from shared.contracts.http.problem import ProblemView
from tests.support.edge import OF_TOMORROW, Gateway

pytestmark = pytest.mark.database


@pytest.fixture
def described(gateway: Gateway) -> dict[str, Any]:
    return gateway.app.openapi()


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): one for path, methods in described["paths"].items() for method, one in methods.items()}


def shown(response: dict[str, Any]) -> dict[str, Any]:
    """By media type, the schema."""
    return {media_type: content["schema"] for media_type, content in response["content"].items()}


def test_every_route_says_what_it_shows(described: dict[str, Any]) -> None:
    found = operations(described)
    assert len(found) == len(READS) + 4
    for route, operation in found.items():
        good = {status: shown(one) for status, one in operation["responses"].items() if status.startswith("2")}
        assert good, route
        assert all(schema for one in good.values() for schema in one.values()), route


@pytest.mark.parametrize(
    ("method", "path", "model"),
    [
        ("get", "/v1/account", "AccountView"),
        ("get", "/v1/explanation/refunds", "DocumentPage"),
        ("get", "/v1/invoice-requests/{request_id}", "RequestView"),
        ("post", "/v1/invoice-requests/{request_id}/cancel", "RequestView"),
    ],
)
def test_a_page_shows_the_model_of_its_owner(method: str, path: str, model: str, described: dict[str, Any]) -> None:
    operation = operations(described)[method, path]
    assert shown(operation["responses"]["200"]) == {"application/json": {"$ref": f"#/components/schemas/{model}"}}
    assert model in described["components"]["schemas"]


def test_what_is_asked_for_is_stored_in_time_or_later(described: dict[str, Any]) -> None:
    for path, model in (
        ("/v1/invoice-requests", "RequestView"),
        ("/v1/deficit-offsets", "RequestView"),
        ("/v1/invoices/{number}/credit-notes", "CreditNoteView"),
    ):
        responses = operations(described)["post", path]["responses"]
        assert {status for status in responses if status != "default"} == {"201", "202"}
        for status in ("201", "202"):
            assert shown(responses[status]) == {"application/json": {"$ref": f"#/components/schemas/{model}"}}


def test_a_file_is_binary(described: dict[str, Any]) -> None:
    (good,) = [
        shown(operation["responses"]["200"])
        for (_, path), operation in operations(described).items()
        if path.endswith("/files/{form}")
    ]
    binary = {"type": "string", "format": "binary"}
    assert good == {"application/pdf": binary, "application/xml": binary}


def test_every_no_is_a_problem(described: dict[str, Any]) -> None:
    for operation in operations(described).values():
        assert {status for status in operation["responses"] if not status.startswith("2")} == {"default"}
        problem = shown(operation["responses"]["default"])
        assert problem == {"application/problem+json": {"$ref": "#/components/schemas/ProblemView"}}
    schemas = described["components"]["schemas"]
    assert schemas["ProblemView"]["required"] == ["type", "status", "code", "title", "detail"]
    assert {"ProblemView", "WrongField"} <= schemas.keys()
    assert "HTTPValidationError" not in schemas


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(part: object) -> set[str]:
        if isinstance(part, list):
            return {one for each in part for one in references(each)}
        if isinstance(part, dict):
            found = {one for each in part.values() for one in references(each)}
            return found | ({part["$ref"]} if isinstance(part.get("$ref"), str) else set())
        return set()

    schemas = described["components"]["schemas"]
    assert references(described) <= {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize(
    ("path", "status", "members"),
    [
        ("/v1/nothing", 404, set()),
        ("/v1/invoice-requests/0", 422, {"errors"}),
        ("/v1/notifications", 503, {"service"}),
    ],
)
async def test_a_no_is_what_was_said_of_problems(path: str, status: int, members: set[str], gateway: Gateway) -> None:
    answer = await gateway.get(path)
    problem = ProblemView.model_validate(answer.json())
    assert (answer.status_code, problem.status) == (status, status)
    always = {"type", "status", "code", "title", "detail"}
    assert answer.json().keys() - {"trace_id"} == always | members == problem.model_fields_set - {"trace_id"}


async def test_an_answer_goes_through_byte_for_byte_with_fields_nobody_here_knows(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/titles")
    assert (answer.status_code, answer.content) == (200, OF_TOMORROW)
    assert answer.headers["content-type"] == "application/json"
