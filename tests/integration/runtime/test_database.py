"""Connections: addresses as libpq takes them, a primary that moves, and pools of which none can take what is another's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx2
import pytest
from asyncpg import Connection
from fastapi import APIRouter

from deploy.demo.client import eventually
from shared.contracts.message import Message
from shared.runtime import database as databases_module
from shared.runtime import migrations, purposes
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database, connect
from shared.runtime.dsn import each_host, name_of, with_database, with_parameter
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.purposes import PURPOSE, Purpose
from shared.runtime.roles import Roles, roles_of
from shared.runtime.service import Runtime, Service
from shared.runtime.web import web_app
from shared.runtime.workers import Worker
from tests.support.databases import Databases
from tests.support.servers import PostgresServer, start_postgres

pytestmark = pytest.mark.database
SMALL: dict[Purpose, int] = {"handlers": 2, "workers": 2, "http": 2}
TOKEN = "token"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A service without tables of its own."""
    return tmp_path


# addresses


async def test_a_database_is_made_migrated_and_opened_whatever_its_address_says(
    postgres: PostgresServer, empty: Path
) -> None:
    plain = with_database(postgres.dsn, "kaipiao-with a ?mark")
    dsn = with_parameter(with_parameter(plain, "sslmode", "disable"), "target_session_attrs", "read-write")
    dsn = with_parameter(dsn, "application_name", "kaipiao test")
    await migrations.migrate(dsn, empty, datetime.now(UTC))
    await migrations.tend(dsn, 60, datetime.now(UTC))
    assert await migrations.pending(dsn, empty) == []
    database = await Database.open(dsn, roles_of(name_of(dsn)), 1)
    async with database.read() as db:
        assert tuple(await db.fetchrow("SELECT current_database(), current_setting('application_name')") or ()) == (
            "kaipiao-with a ?mark",
            "kaipiao test",
        )
    await database.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_a_host_that_is_gone_or_silent_is_passed_over(
    postgres: PostgresServer, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases_module, "HOST_SECONDS", 0.3)
    head, at, tail = postgres.dsn.partition("@")
    for other in (silent, "127.0.0.1:1"):
        db = await connect(f"{head}{at}{other},{tail}")
        assert await db.fetchval("SELECT 1") == 1
        await db.close()
        assert len(each_host(f"{head}{at}{other},{tail}")) == 2


async def test_a_wrong_password_is_told_and_no_other_host_is_asked(postgres: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(with_database(postgres.dsn, "no such database"))


@pytest.fixture
async def pair(empty: Path) -> AsyncIterator[tuple[PostgresServer, PostgresServer, str, Roles]]:
    """Two servers with the same tables. The second takes no writes, as a standby would not."""
    servers = (start_postgres(), start_postgres())
    names = [with_database(one.dsn, "pair") for one in servers]
    for dsn in names:
        await migrations.migrate(dsn, empty, datetime.now(UTC))
    await writable(servers[1], False)
    (head, at, tail), (_, _, second) = (dsn.partition("@") for dsn in names)
    host, _, path = second.partition("/")
    dsn = with_parameter(f"{head}{at}{tail.partition('/')[0]},{host}/{path}", "target_session_attrs", "read-write")
    yield *servers, dsn, roles_of("pair")
    for one in servers:
        one.stop()


async def writable(server: PostgresServer, is_so: bool) -> None:
    db = await asyncpg.connect(server.dsn)
    await db.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'off' if is_so else 'on'}")
    await db.execute("SELECT pg_reload_conf()")
    await db.close()


async def wrote(database: Database) -> int:
    """On which server, by its port."""
    async with database.transaction() as db:
        await db.execute("INSERT INTO runtime.record_attempt VALUES ('c', gen_random_uuid()::text, 0, 0, 1)")
        return int(await db.fetchval("SELECT inet_server_port()"))


async def eventually_wrote(database: Database) -> int:
    async def look() -> int | None:
        with contextlib.suppress(*databases_module.TRANSIENT_ERRORS):
            return await wrote(database)
        return None

    return await eventually("server that can be written to", look, 20)


async def test_writing_goes_on_where_the_primary_is_now(
    pair: tuple[PostgresServer, PostgresServer, str, Roles],
) -> None:
    first, second, dsn, roles = pair
    ports = [int(one.dsn.rpartition(":")[2].split("/")[0]) for one in (first, second)]
    database = await Database.open(dsn, roles, 2)
    assert await wrote(database) == ports[0]
    await writable(first, False)  # it was demoted, and our connections to it live on
    await writable(second, True)
    assert await eventually_wrote(database) == ports[1]
    await writable(first, True)
    second.kill()
    assert await eventually_wrote(database) == ports[0]
    await database.close()


# bulkheads


@contextlib.contextmanager
def purpose(name: Purpose) -> Iterator[None]:
    token = PURPOSE.set(name)
    yield
    PURPOSE.reset(token)


@pytest.fixture
async def small(databases: Databases, empty: Path) -> AsyncIterator[Database]:
    dsn, roles = await databases.dsn(empty)
    database = await Database.open(dsn, roles, SMALL)
    yield database
    await database.close()
    await databases.drop(dsn)


@pytest.mark.parametrize("busy", SMALL)
async def test_a_purpose_that_has_used_up_its_connections_takes_nobody_elses(
    small: Database, busy: Purpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purposes, "ACQUIRE_SECONDS", dict.fromkeys(SMALL, 0.2))
    monkeypatch.setattr(databases_module, "ACQUIRE_SECONDS", dict.fromkeys(SMALL, 0.2))
    async with contextlib.AsyncExitStack() as held:
        with purpose(busy):
            for _ in range(SMALL[busy]):
                await held.enter_async_context(small.read())
            with pytest.raises(TimeoutError):
                await held.enter_async_context(small.transaction())
        for other in SMALL.keys() - {busy}:
            with purpose(other):
                async with small.transaction() as db:
                    assert await db.fetchval("SELECT 1") == 1
    with purpose(busy):
        async with small.read() as db:
            assert await db.fetchval("SELECT 1") == 1


SEEN: list[Purpose] = []


async def claim(_db: Connection, _at: datetime, _now: datetime) -> None:
    SEEN.append(PURPOSE.get())


async def call(_: None) -> None:
    raise AssertionError("nothing is due")


async def outcome(_: None, __: None, ___: Connection, ____: datetime) -> list[Message]:
    return []


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()

    @router.get("/slow")
    async def slow() -> str:
        async with runtime.read() as db:
            await db.execute("SELECT pg_sleep(0.5)")
        return "slow"

    @router.post("/wait")
    async def waiting() -> str:
        SEEN.append(PURPOSE.get())

        async def look(_: Connection) -> None:
            return None

        await runtime.wait_for("answers", "1", look, 1.5)
        return "waited"

    @router.get("/quick")
    async def quick() -> str:
        async with runtime.read() as db:
            return str(await db.fetchval("SELECT 'quick'"))

    return router


@pytest.fixture
async def running(small: Database, empty: Path) -> AsyncIterator[tuple[Runtime, httpx2.AsyncClient]]:
    SEEN.clear()
    service = Service("example", empty, workers=[Worker("idle", claim, call, outcome, concurrency=1)], routes=routes)
    runtime = Runtime(service, small, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    await runtime.start()
    app = web_app(runtime, TOKEN, "example")
    transport = httpx2.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://example", headers=headers) as http:
        yield runtime, http
    await runtime.stop()


async def test_reads_that_fill_their_pool_do_not_hold_up_the_relay_or_the_workers(
    running: tuple[Runtime, httpx2.AsyncClient], small: Database
) -> None:
    runtime, http = running
    reads = [asyncio.create_task(http.get("/slow")) for _ in range(8)]
    await eventually("full pool", lambda: asyncio.sleep(0, small.pools()["http"] == (2, 2)))
    began = datetime.now(UTC)
    await runtime.relay.step()
    SEEN.clear()
    await eventually("look of the worker", lambda: asyncio.sleep(0, "workers" in SEEN))
    assert datetime.now(UTC) - began < timedelta(seconds=1)
    assert {one.status_code for one in await asyncio.gather(*reads)} == {200}


async def test_who_waits_for_an_answer_holds_no_connection(running: tuple[Runtime, httpx2.AsyncClient]) -> None:
    _, http = running
    waiting = [asyncio.create_task(http.post("/wait")) for _ in range(20)]
    await eventually("twenty who wait", lambda: asyncio.sleep(0, SEEN.count("http") == 20))
    began = datetime.now(UTC)
    for _ in range(5):
        assert (await http.get("/quick")).json() == "quick"
    assert datetime.now(UTC) - began < timedelta(seconds=1)
    assert {one.json() for one in await asyncio.gather(*waiting)} == {"waited"}
    assert "http" in SEEN


async def test_who_gets_no_connection_in_time_is_told_to_come_again(
    running: tuple[Runtime, httpx2.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases_module, "ACQUIRE_SECONDS", dict.fromkeys(SMALL, 0.1))
    _, http = running
    reads = [asyncio.create_task(http.get("/slow")) for _ in range(4)]
    answers = await asyncio.gather(*reads)
    assert sorted({one.status_code for one in answers}) == [200, 503]
    assert {one.headers["retry-after"] for one in answers if one.status_code == 503} == {"5"}
