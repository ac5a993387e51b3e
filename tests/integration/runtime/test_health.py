"""What a process says of itself when what it needs hangs, how long it takes to stop then, and what ends one that is blocked."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from deploy.demo.client import eventually
from shared.runtime.database import Database
from tests.conftest import OpenDatabase
from tests.support.databases import Databases
from tests.support.frozen import frozen
from tests.support.hole import Hole
from tests.support.servers import KafkaCluster

pytestmark = pytest.mark.database

SERVICE = """
import sys
from pathlib import Path
from shared.runtime.main import run
from shared.runtime.service import Service
def build(_):
    return Service("ledger", Path(sys.argv[1]))
build.__module__ = "services.ledger.app"
run(build)
"""
BLOCKED = """
import asyncio, re, sys, time
from pathlib import Path
from shared.runtime import watchdog
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.roles import Roles
from shared.runtime.service import Runtime, Service
watchdog.THREADS_BLOCKED_SECONDS = 3

async def main():
    database = await Database.open(sys.argv[1], Roles(sys.argv[2], sys.argv[2]))
    runtime = Runtime(Service("ledger", Path()), database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    dog = watchdog.Watchdog(runtime, blocked_seconds=2.0)
    runtime.spawn(dog.run())
    dog.guard()
    await asyncio.sleep(3)
    print("it was well", flush=True)
    {blocked}

asyncio.run(main())
"""
BLOCKS = {
    "sleeping": ("time.sleep(60)", 70),
    "busy": ("while True: pass", 70),
    "holding the lock of all threads": ('re.match(r"(a+)+$", "a" * 60 + "b")', 1),
}


@pytest.mark.parametrize("how", BLOCKS)
async def test_a_process_whose_event_loop_is_blocked_is_ended(
    how: str, open_database: OpenDatabase, tmp_path: Path
) -> None:
    database: Database = await open_database(tmp_path)
    code, status = BLOCKS[how]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BLOCKED.replace("{blocked}", code), database.dsn, database._roles.work),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, told = await process.communicate()
    assert said == b"it was well\n"
    assert process.returncode == status
    assert (b"the event loop is blocked" in told) == (status == 70)


class Running:
    """A service as a process of its own; its database is behind a proxy, its traces go to somebody who never answers."""

    def __init__(self, url: str, hole: Hole) -> None:
        self.url = url
        self.hole = hole
        self.process: asyncio.subprocess.Process | None = None

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=30) as client:
            return await client.get(self.url + path)

    async def answers(self, path: str, status: int, seconds: float) -> httpx2.Response:
        async def look() -> httpx2.Response | None:
            with suppress(httpx2.TransportError):
                answer = await self.get(path)
                return answer if answer.status_code == status else None
            return None

        return await eventually(f"{status} of {path}", look, seconds)

    async def stopped(self, seconds: float) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@asynccontextmanager
async def running(
    databases: Databases, kafka: KafkaCluster, folder: Path, port: int, **settings: str
) -> AsyncIterator[Running]:
    server = urlsplit(databases.server)
    async with Hole(server.hostname or "", server.port or 0).listening() as hole, nobody() as otlp:
        login = server.netloc.rpartition("@")[0]
        dsn = f"postgresql://{login}@127.0.0.1:{hole.port}/health_{os.getpid()}"
        env = {
            "DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "OPERATIONS_PORT": str(port),
            "OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
        }
        it = Running(f"http://127.0.0.1:{port}", hole)
        with (folder / "log").open("wb") as log:
            it.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SERVICE, str(folder)), env=os.environ | env | settings, stderr=log
            )
        try:
            await it.answers("/readyz", 200, 30)
            yield it
        finally:
            if it.process.returncode is None:
                it.process.kill()
                await it.process.wait()


@asynccontextmanager
async def nobody() -> AsyncIterator[int]:
    """Takes connections and never says a word."""
    met: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: met.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in met:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.kafka
async def test_a_database_that_hangs_is_told_in_ten_seconds_and_metrics_do_not_wait_for_it(
    databases: Databases, kafka: KafkaCluster, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with running(databases, kafka, tmp_path, unused_tcp_port) as it:
        it.hole.swallow()
        assert (await it.answers("/readyz", 503, 10)).json() == {"database": False, "kafka": True, "migrations": True}
        for path in ("/metrics", "/livez", "/healthz", "/readyz"):
            began = time.monotonic()
            answer = await it.get(path)
            assert time.monotonic() - began < 1
            assert path == "/readyz" or answer.status_code == 200
        shown = (await it.get("/metrics")).text
        assert re.search(r'^kaipiao_dependency_available\{.*dependency="database".*\} 0.0$', shown, re.MULTILINE)
        it.hole.let_through()
        await it.answers("/readyz", 200, 10)


@pytest.mark.kafka
async def test_a_broker_that_hangs_is_told_in_ten_seconds(
    databases: Databases, own_kafka: KafkaCluster, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with running(databases, own_kafka, tmp_path, unused_tcp_port) as it:
        (pid,) = own_kafka.pids.values()
        with frozen(pid):
            assert (await it.answers("/readyz", 503, 10)).json()["kafka"] is False
            assert (await it.get("/livez")).json() == {"live": True, "reason": None, "unhealthy": {}}
        await it.answers("/readyz", 200, 10)


@pytest.mark.kafka
async def test_a_stop_does_not_wait_for_a_receiver_of_traces_that_hangs(
    databases: Databases, kafka: KafkaCluster, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with running(databases, kafka, tmp_path, unused_tcp_port) as it:
        assert await it.stopped(8) == 0


@pytest.mark.kafka
async def test_a_stop_has_a_deadline_whatever_hangs(
    databases: Databases, kafka: KafkaCluster, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with running(databases, kafka, tmp_path, unused_tcp_port, STOP_SECONDS="6") as it:
        it.hole.swallow()
        began = time.monotonic()
        await it.stopped(9)
        assert time.monotonic() - began < 7


@pytest.mark.kafka
async def test_the_outbox_and_the_relay_are_shown_by_the_process_that_sends(
    databases: Databases, kafka: KafkaCluster, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with running(databases, kafka, tmp_path, unused_tcp_port) as it:
        shown = (await it.get("/metrics")).text
        for name in ("outbox_unsent", "outbox_oldest_seconds", "relay_active", "outbox_days_ahead", "unhealthy"):
            assert f"kaipiao_{name}" in shown
