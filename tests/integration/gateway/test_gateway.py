"""The edge: who may call, for which account, and what comes back when an owner says no, is away, or is silent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.client import eventually
from services.gateway.app import MIGRATIONS, build
from shared.runtime.clock import Clock, uuid7
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import web_app
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database

TOKEN = "between-us"


@dataclass
class Gateway:
    http: httpx2.AsyncClient
    seen: list[Request]

    async def key(self, account_id: int) -> dict[str, str]:
        body = {"account_id": account_id, "name": "test"}
        answer = await self.http.post("/ops/api-keys", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        return {"Authorization": f"Bearer {answer.json()['api_key']}"}


async def owner(request: Request) -> Response:
    """Answers for every owner: echoes, or says no."""
    request.app.state.seen.append(request)
    if request.url.path.endswith("/items/O404"):
        problem = {"code": "NOT_FOUND", "number": "O404", "status": 404}
        return JSONResponse(problem, 404, media_type="application/problem+json")
    return JSONResponse(
        {"path": request.url.path, "query": dict(request.query_params), "body": (await request.body()).decode()}
    )


@asynccontextmanager
async def owners() -> AsyncIterator[tuple[str, list[Request]]]:
    app = Starlette(routes=[Route("/{path:path}", owner, methods=["GET", "POST"])])
    app.state.seen = []
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await eventually("owner's server", lambda: asyncio.sleep(0, server.started))
    (port,) = [sock.getsockname()[1] for one in server.servers for sock in one.sockets]
    yield f"http://127.0.0.1:{port}", app.state.seen
    server.should_exit = True
    await serving


@pytest.fixture
async def gateway(open_database: OpenDatabase) -> AsyncIterator[Gateway]:
    async with owners() as (url, seen):
        away = "http://127.0.0.1:9"
        settings = Settings(
            title_url=url, ledger_url=url, invoicing_url=url, notification_url=away, service_token=SecretStr(TOKEN)
        )
        service = build(settings)
        runtime = Runtime(service, await open_database(MIGRATIONS), MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
        app = web_app(runtime, TOKEN, Watchdog(runtime), "gateway")
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
            yield Gateway(http, seen)
        for resource in service.resources:
            await resource.__aexit__(None, None, None)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer kp_wrong"}, {"Authorization": f"Bearer {TOKEN}"}])
async def test_no_route_answers_without_a_key(headers: dict[str, str], gateway: Gateway) -> None:
    answer = await gateway.http.get("/v1/balances", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.seen == []


async def test_the_account_is_that_of_the_key(gateway: Gateway) -> None:
    answer = await gateway.http.get("/v1/items?limit=5&account_id=8", headers=await gateway.key(7))
    assert answer.json()["path"] == "/accounts/7/items"
    assert gateway.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_keys_are_made_by_operators_only(gateway: Gateway) -> None:
    answer = await gateway.http.post("/ops/api-keys", json={"account_id": 1, "name": "x"}, headers=await gateway.key(7))
    assert answer.status_code == 401


async def test_the_owners_no_goes_through_unchanged(gateway: Gateway) -> None:
    answer = await gateway.http.get("/v1/items/O404", headers=await gateway.key(7))
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_owner_that_is_away_takes_down_only_its_own_pages(gateway: Gateway) -> None:
    key = await gateway.key(7)
    answer = await gateway.http.get("/v1/notifications", headers=key)
    assert (answer.status_code, answer.json()["service"]) == (503, "notification")
    assert answer.headers["retry-after"] == "5"
    assert (await gateway.http.get("/v1/balances", headers=key)).status_code == 200


async def test_a_request_needs_an_idempotency_key_and_no_unknown_field(gateway: Gateway) -> None:
    key = await gateway.key(7)
    without = await gateway.http.post("/v1/invoice-requests", json={"numbers": ["O1"]}, headers=key)
    assert (without.status_code, without.json()["code"]) == (422, "INVALID_REQUEST")
    assert "idempotency-key" in without.json()["detail"]
    headers = key | {"Idempotency-Key": "k1"}
    misspelled = await gateway.http.post("/v1/invoice-requests", json={"number": ["O1"]}, headers=headers)
    assert misspelled.status_code == 422
    taken = await gateway.http.post("/v1/invoice-requests", json={"numbers": ["O1"]}, headers=headers)
    assert json.loads(taken.json()["body"])["numbers"] == ["O1"]
    assert gateway.seen[-1].headers["idempotency-key"] == "k1"
