"""No route takes a number without a largest or a text without a longest: what is not bounded here is bounded by a database, with a 500."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from services.gateway.app import MIGRATIONS as GATEWAY
from services.gateway.app import build as gateway
from services.invoicing.app import build as invoicing
from services.ledger.app import build as ledger
from services.notification.app import build as notification
from services.title.app import build as title
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.support.edge import app_of, operations_of

pytestmark = pytest.mark.database

BUILT = {one.__module__.split(".")[1]: one for one in (gateway, invoicing, ledger, notification, title)}
BOUNDED_TEXT = ("maxLength", "pattern", "enum", "const", "format")
BOUNDED_NUMBER = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})


def inputs(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything a caller may send: where, and its schema."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for one in operation.get("parameters", ()):
                yield f"{method} {path} {one['in']}.{one['name']}", one["schema"]
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {media_type}", content["schema"]


def unbounded(where: str, schema: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for branch in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from unbounded(where, branch, described)
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(f"{where}.{name}", inner, described)
    kind = schema.get("type")
    if kind in ("integer", "number") and not all(any(one in schema for one in either) for either in BOUNDED_NUMBER):
        yield f"{where}: a {kind} without a smallest or a largest"
    if kind == "string" and not any(one in schema for one in BOUNDED_TEXT):
        yield f"{where}: a text without a longest"
    if kind == "array":
        if "maxItems" not in schema:
            yield f"{where}: a list without a longest"
        yield from unbounded(f"{where}[]", schema.get("items", {}), described)
    if kind == "object" and "properties" not in schema and schema.get("additionalProperties", True) is not False:
        yield f"{where}: an object of anything"


def found(app: FastAPI) -> list[str]:
    described = app.openapi()
    seen = list(inputs(described))
    assert seen
    return [one for where, schema in seen for one in unbounded(where, schema, described)]


@pytest.fixture(params=BUILT)
def service(request: pytest.FixtureRequest) -> Service:
    return BUILT[request.param](Settings())


async def test_everything_that_can_be_sent_is_bounded(service: Service, open_database: OpenDatabase) -> None:
    database = await open_database(GATEWAY)
    assert found(app_of(service, database)) == []
    assert found(operations_of(service, database)) == []


def test_what_is_not_bounded_is_noticed() -> None:
    app = FastAPI(title="a bad one")

    @app.get("/{number}")
    async def read(number: str, before: int, names: list[str] | None = None) -> None: ...

    assert len(found(app)) == 4
