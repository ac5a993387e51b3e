"""Services as their callers see them, over HTTP: the gateway before one server that plays every owner, and one service alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from deploy.demo.client import eventually
from services.gateway.app import build
from services.gateway.owners.forwarding import ANSWER_SECONDS
from shared.runtime.admission import Bounds
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import BOUNDS, operations_app, web_app

TOKEN = "between-us"
OPERATOR = {"Authorization": "Bearer operators-only"}
AWAY = "http://127.0.0.1:9"
PDF = b"%PDF-1.7 not utf-8: \xff\x00"
PDF_HEADERS = {
    "content-type": "application/pdf",
    "content-disposition": 'attachment; filename="I1.pdf"',
    "x-content-type-options": "nosniff",
}

OF_TOMORROW = b'[ {"title_id": 7,\n  "a_field_of_tomorrow": 1.0} ]'
"""What a newer owner may answer, written as nobody here would."""


@dataclass
class Gateway:
    """What a customer's program and an operator reach, each at its own listener. `seen` is what the owners were asked."""

    http: httpx2.AsyncClient
    operations: httpx2.AsyncClient
    app: FastAPI
    database: Database
    seen: list[Request]

    async def key(self, account_id: int) -> dict[str, str]:
        body = {"account_id": account_id, "name": "test"}
        answer = await self.operations.post("/ops/api-keys", json=body, headers=OPERATOR)
        return {"Authorization": f"Bearer {answer.json()['api_key']}"}

    async def get(self, path: str, account_id: int = 7) -> httpx2.Response:
        return await self.http.get(path, headers=await self.key(account_id))

    async def revoke_keys(self, account_id: int) -> None:
        async with self.database.transaction() as db:
            await db.execute("UPDATE api_key SET revoked_at = now() WHERE account_id = $1", account_id)


async def owner(request: Request) -> Response:
    """Answers for every owner: echoes, hands out a file or what no model knows, says no, or is silent until the caller gives up."""
    request.app.state.seen.append(request)
    path = request.scope["path"]
    if path.endswith("/items/O404"):
        problem = {"code": "NOT_FOUND", "number": "O404", "status": 404}
        return JSONResponse(problem, 404, media_type="application/problem+json")
    if path.endswith("/files/pdf"):
        return Response(PDF, headers=PDF_HEADERS)
    if path.endswith("/titles"):
        return Response(OF_TOMORROW, media_type="application/json")
    body = (await request.body()).decode()
    if path.endswith("/cash") or '"numbers":["SILENT"]' in body:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    return JSONResponse({"path": path, "query": request.query_params.multi_items(), "body": body})


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """A real server, because the quoting of a path happens on the way."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    await eventually("owner's server", lambda: asyncio.sleep(0, server.started))
    (port,) = [sock.getsockname()[1] for one in server.servers for sock in one.sockets]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


def runtime_of(service: Service, database: Database) -> Runtime:
    return Runtime(service, database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")


def app_of(service: Service, database: Database, bounds: Bounds = BOUNDS) -> FastAPI:
    return web_app(runtime_of(service, database), TOKEN, service.name, bounds)


def operations_of(service: Service, database: Database) -> FastAPI:
    runtime = runtime_of(service, database)
    return operations_app(runtime, OPERATOR["Authorization"].split()[1], Watchdog(runtime), service.name)


@asynccontextmanager
async def asking(app: FastAPI, headers: dict[str, str] | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield http


@asynccontextmanager
async def asking_behind(service: Service, database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks a service as the gateway does."""
    async with asking(app_of(service, database), {"Authorization": f"Bearer {TOKEN}"}) as http:
        yield http


@asynccontextmanager
async def gateway_before(
    database: Database,
    url: str,
    seen: list[Request],
    notification: str = AWAY,
    answer_seconds: float = ANSWER_SECONDS,
    bounds: Bounds = BOUNDS,
    **more: float | str,
) -> AsyncIterator[Gateway]:
    """As patient as in earnest, unless the test is about giving up: a busy machine is no owner that is silent."""
    urls = dict.fromkeys(("title_url", "ledger_url", "invoicing_url"), url) | {"notification_url": notification}
    settings = Settings(service_token=SecretStr(TOKEN), **(urls | more))  # type: ignore[arg-type]
    service = build(settings, answer_seconds=answer_seconds)
    app = app_of(service, database, bounds)
    async with asking(app) as http, asking(operations_of(service, database)) as operations:
        yield Gateway(http, operations, app, database, seen)
    for resource in service.resources:
        await resource.__aexit__(None, None, None)


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[str, list[Request]]]:
    """The owner that plays them all."""
    app = Starlette(routes=[Route("/{path:path}", owner, methods=["GET", "POST"])])
    app.state.seen = []
    async with serving(app) as url:
        yield url, app.state.seen
