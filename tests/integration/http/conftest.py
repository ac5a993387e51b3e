"""A gateway as its process serves it: real sockets, real limits, before a server that plays every owner."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from starlette.types import ASGIApp

from deploy.demo.client import eventually
from services.gateway.app import MIGRATIONS, build
from shared.runtime.admission import Bounds
from shared.runtime.listening import Limits, Listener, server_of
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.support.edge import Gateway, echoing, gateway_before, operations_of

LIMITS = Limits(connections=40, head_bytes=32 * 1024, headers=100, head_seconds=1.0)

BOUNDS = Bounds(body_seconds=1.0)


@dataclass
class Door:
    """`port` is for customers, `operations` for operators."""

    gateway: Gateway
    port: int
    operations: int

    async def said(self, *pieces: bytes, port: int = 0) -> bytes:
        """All that comes back until the other side closes. Whoever refuses to read on does not keep us from hearing why."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        hearing = asyncio.create_task(heard(reader))
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = await hearing
        writer.close()
        return answer


async def heard(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(65_536):
            answer += more
    return answer


@asynccontextmanager
async def listening(apps: Sequence[ASGIApp], limits: Limits) -> AsyncIterator[list[int]]:
    """The ports of these apps, served as a process serves them."""
    server, sockets = server_of([Listener(app, "127.0.0.1", 0) for app in apps], apps[0], limits)
    ports = [one.getsockname()[1] for one in sockets]
    task = asyncio.create_task(server.serve(sockets=sockets))
    await eventually("the server", lambda: asyncio.sleep(0, server.started))
    yield ports
    server.should_exit = True
    await task


@pytest.fixture
async def door(open_database: OpenDatabase) -> AsyncIterator[Door]:
    database = await open_database(MIGRATIONS)
    async with echoing() as (url, seen), gateway_before(database, url, seen, bounds=BOUNDS) as gateway:
        operations = operations_of(build(Settings()), database)
        async with listening([gateway.app, operations], LIMITS) as (port, for_operators):
            yield Door(gateway, port, for_operators)
