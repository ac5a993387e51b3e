"""Generated requests to every operation of the public API, with real services behind the gateway, and to the platform's listener: never
our fault, never an answer that the OpenAPI document does not describe, never a hang. FUZZ_CASES=1000 asks more (`make fuzz CASES=1000`).
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.sandbox.tax_platform.callbacks import signed
from services.gateway.app import MIGRATIONS
from services.gateway.v1.reads import READS
from services.invoicing.requests.intents import InvoiceIntent
from shared.runtime.web import callback_app, web_app
from tests.support.databases import Databases
from tests.support.edge import TOKEN, Gateway, asking, gateway_before, serving
from tests.support.examples import MARCH_10, a_bill, an_order
from tests.support.generated import HOSTILE_TEXTS, Drawing, Schema
from tests.support.world import SETTINGS, FlowWorld, an_account

pytestmark = [pytest.mark.database, pytest.mark.timeout(600)]

CASES = int(os.environ.get("FUZZ_CASES", "100"))
ANSWER_SECONDS = 10.0
KNOWN: dict[str, list[Any]] = {
    "numbers": ["O1", "O2", "B1", "A/1"],
    "subject": ["ALIYUN_SERVICE", "ALIYUN_GOODS", "NO_SUCH"],
    "cycle": ["202602", "202603"],
    "cycles": ["202602", "202603"],
    "form": ["pdf", "xml", "ofd"],
    "members": [1, 7, 8],
    "request_id": [1, 2],
    "credit_note_id": [1, 2],
}
"""Values that mean something in this world."""
OWN = {"/v1/account": "/accounts/{account_id}"}
Case = tuple[str, list[tuple[str, str]], dict[str, str], bytes | None]


@dataclass
class Edge:
    """The whole system behind one address, on a loop of its own: hypothesis knows no coroutines."""

    runner: asyncio.Runner
    gateway: Gateway
    key: dict[str, str]
    world: FlowWorld
    described: Schema
    owners: dict[str, Schema]
    callbacks: httpx2.AsyncClient
    drawing: Drawing

    def ask(self, method: str, case: Case) -> httpx2.Response:
        path, query, headers, body = case

        async def send() -> httpx2.Response:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.gateway.http.request(
                    method, path, params=httpx2.QueryParams(tuple(query)), headers=self.key | headers, content=body
                )

        return self.runner.run(send())


async def opened(databases: Databases, files: Path, stack: AsyncExitStack, runner: asyncio.Runner) -> Edge:
    world = await FlowWorld(MARCH_10).open(databases, files)
    stack.push_async_callback(world.close)
    world.stage.publish(an_account(7, at=MARCH_10))
    for fact in (
        an_order("O1", account_id=7),
        an_order("O2", account_id=7),
        a_bill("B1", account_id=7, cycle="202602"),
    ):
        world.stage.publish(fact)
    await world.stage.settle()
    await world.request(InvoiceIntent(7, "first", numbers=("O1",)))
    await world.stage.settle()
    await world.stage.let_pass(timedelta(minutes=1))
    (invoice,) = await world.rows("invoicing", "SELECT number FROM part")
    assert invoice["number"], "there is an invoice to ask about"
    apps = {name: web_app(one.runtime, TOKEN, name) for name, one in world.stage.processes.items()}
    urls = {name: await stack.enter_async_context(serving(app)) for name, app in apps.items()}
    database = await databases.open(MIGRATIONS)
    stack.push_async_callback(database.close)
    gateway = await stack.enter_async_context(
        gateway_before(
            database,
            urls["title"],
            [],
            notification=urls["notification"],
            ledger_url=urls["ledger"],
            invoicing_url=urls["invoicing"],
            account_per_second=1e6,
            account_burst=1_000_000,
        )
    )
    callbacks = callback_app(world.stage.processes["invoicing"].runtime, "callbacks")
    assert callbacks is not None
    described, owners = gateway.app.openapi(), {name: app.openapi() for name, app in apps.items()}
    components = {name: one for each in owners.values() for name, one in each["components"]["schemas"].items()}
    components |= described["components"]["schemas"]
    return Edge(
        runner,
        gateway,
        await gateway.key(7),
        world,
        described,
        owners,
        await stack.enter_async_context(asking(callbacks)),
        Drawing(components, KNOWN | {"number": ["O1", "O2", "B1", "A/1", invoice["number"]]}),
    )


@pytest.fixture(scope="module")
def edge(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        yield runner.run(opened(databases, tmp_path_factory.mktemp("files"), stack, runner))
        runner.run(stack.aclose())


def operations() -> list[tuple[str, str]]:
    """Of the public document, which needs no database to be written."""
    posts = (
        "/invoice-requests",
        "/deficit-offsets",
        "/invoices/{number}/credit-notes",
        "/invoice-requests/{request_id}/cancel",
    )
    return [
        *(("get", f"/v1{path.replace(':path', '')}") for path in READS),
        *(("post", f"/v1{path}") for path in posts),
    ]


def parameters(edge: Edge, method: str, path: str) -> list[Schema]:
    """The public ones, and those that the owner takes: a query is handed on as it is."""
    behind = OWN.get(path, path.replace("/v1", "/accounts/{account_id}", 1))
    of_owner = [
        one
        for described in edge.owners.values()
        for known, methods in described["paths"].items()
        if _plain(known) in (_plain(behind), _plain(behind.rpartition("/")[0] + "/{}"))
        for one in methods.get(method, {}).get("parameters", ())
        if one["in"] == "query"
    ]
    return [*edge.described["paths"][path][method].get("parameters", ()), *of_owner]


def _plain(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def in_header(value: object) -> str:
    return "".join(one for one in as_text(value) if " " < one < "\x7f")[:200] or "x"


def in_path(value: object) -> str:
    return quote(as_text(value), safe="").replace(".", "%2E") or "%20"


def cases(edge: Edge, method: str, path: str) -> st.SearchStrategy[Case]:
    every = parameters(edge, method, path)
    schemas = {one["name"]: one["schema"] for one in every}
    by_place = {place: [one["name"] for one in every if one["in"] == place] for place in ("path", "query", "header")}
    content = edge.described["paths"][path][method].get("requestBody", {}).get("content", {})
    body: st.SearchStrategy[bytes | None] = st.none()
    if content:
        body = edge.drawing.bodies(content["application/json"]["schema"]).map(in_no_time)
    odd = st.lists(
        st.tuples(st.sampled_from(["limit", "before", "after", "cursor", "x"]), st.sampled_from(HOSTILE_TEXTS)),
        max_size=1,
    )

    def case(given: dict[str, Any], more: list[tuple[str, str]], sent: bytes | None) -> Case:
        query = [(name, as_text(given[name])) for name in by_place["query"] if name in given]
        query += [(name, as_text(text)) for name, text in more]
        headers = {name: in_header(given[name]) for name in by_place["header"]}
        headers |= {"Content-Type": "application/json"} if sent is not None else {}
        return path.format_map({name: in_path(given[name]) for name in by_place["path"]}), query, headers, sent

    needed = [*by_place["path"], *by_place["header"], *(one["name"] for one in every if one.get("required"))]
    return st.builds(case, edge.drawing.several(schemas, needed), st.just([]) | st.just([]) | odd, body)


def in_no_time(body: bytes) -> bytes:
    """Nobody waits for an answer of the ledger: it says nothing until the world moves."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(content, dict) and isinstance(content.get("wait_seconds"), int | float):
        content["wait_seconds"] = min(content["wait_seconds"], 0)
    elif isinstance(content, dict):
        content["wait_seconds"] = 0
    return json.dumps(content).encode()


def check(edge: Edge, method: str, path: str, answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    responses = edge.described["paths"][path][method]["responses"]
    told = responses.get(str(answer.status_code), responses["default"])["content"]
    media_type = answer.headers["content-type"].split(";")[0]
    assert media_type in told, (media_type, answer.status_code)
    if media_type.endswith("json"):
        schema = told[media_type]["schema"] | {"components": edge.described["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.parametrize(("method", "path"), operations(), ids=lambda one: one.strip("/").replace("/", "."))
def test_whatever_is_asked_is_answered_as_described(method: str, path: str, edge: Edge) -> None:
    @settings(max_examples=CASES, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck])
    @given(case=cases(edge, method, path))
    def asked(case: Case) -> None:
        check(edge, method, path, edge.ask(method, case))

    asked()
    edge.runner.run(edge.world.stage.settle())


def test_every_public_operation_is_asked(edge: Edge) -> None:
    described = {(method, path) for path, methods in edge.described["paths"].items() for method in methods}
    assert described == {*operations()}


def test_whatever_the_platform_says_is_taken_or_refused(edge: Edge) -> None:
    serials = st.sampled_from(["0" * 20, "0000000000000000000Z", "Z" * 20, "a" * 20]) | st.text(max_size=25)
    said = st.fixed_dictionaries(
        {}, optional={"serial": serials | st.integers(), "id": serials, "state": st.text(max_size=5)}
    )
    raw = said.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=100)
    secret = SETTINGS.tax_platform_secret.get_secret_value().encode()
    ago = st.sampled_from([0, 0, 0, 299, 400, -299, -400, 10**9])
    odd = st.fixed_dictionaries({}, optional={"Timestamp": st.sampled_from(["", "x", "9" * 30, "-1", "1e3", "²"])})

    @settings(max_examples=CASES, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck])
    @given(body=raw, ago=ago, odd=odd)
    def asked(body: bytes, ago: int, odd: dict[str, str]) -> None:
        headers = {
            name.encode(): value.encode("latin-1")
            for name, value in (signed(body, secret, time.time() - ago) | odd).items()
        }

        async def send() -> httpx2.Response:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await edge.callbacks.post("/tax-platform/callbacks", content=body, headers=headers)

        answer = edge.runner.run(send())
        assert answer.status_code in (204, 401), answer.text

    asked()
