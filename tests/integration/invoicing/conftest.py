"""A desk with its own database, at which account 1 is known; and the service over it, at an address."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from deploy.demo.client import eventually
from services.invoicing.app import MIGRATIONS, invoicing
from shared.runtime.clock import Clock, uuid7
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Runtime
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import web_app
from tests.conftest import OpenDatabase
from tests.integration.invoicing.desk import NOW, TOKEN, Desk
from tests.world import SETTINGS, FlowWorld


@pytest.fixture
async def desk(open_database: OpenDatabase) -> Desk:
    desk = Desk(await open_database(MIGRATIONS))
    await desk.knows()
    return desk


@pytest.fixture
async def api(desk: Desk, tmp_path: Path) -> AsyncIterator[str]:
    """The address of the service over this desk's database."""
    service = invoicing(SETTINGS, FlowWorld(NOW).direct, None, ObjectStore(tmp_path.as_uri()))  # type: ignore[arg-type]
    runtime = Runtime(service, desk.database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    app = web_app(runtime, TOKEN, Watchdog(runtime), "invoicing")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await eventually("invoicing's server", lambda: asyncio.sleep(0, server.started))
    (port,) = [sock.getsockname()[1] for one in server.servers for sock in one.sockets]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving
