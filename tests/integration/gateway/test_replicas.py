"""An owner with several replicas: whoever is dead or silent is passed over, for what may be repeated; what may not is asked of one only."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from services.gateway.app import MIGRATIONS
from shared.runtime.replicas import Replicas
from tests.conftest import OpenDatabase
from tests.support.edge import AWAY, Gateway, echoing, gateway_before

pytestmark = pytest.mark.database

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SILENT_SECONDS = 0.3
NO_CONTENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]"


@asynccontextmanager
async def a_replica(handle: Handle) -> AsyncIterator[str]:
    """A server that does with a connection what it likes."""
    held: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        await handle(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in held:
        writer.close()


class Hung:
    """Takes connections and requests, and never says a word."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG002
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1


class Dropping:
    """Answers the first request of a connection, if any, and closes at the next: as a process that ends."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(self.answers):
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                writer.write(NO_CONTENT)
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
        except asyncio.IncompleteReadError:
            pass
        writer.close()


@pytest.fixture
async def edge(open_database: OpenDatabase) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """A gateway before the owners at these addresses; `{good}` is one that answers."""
    async with AsyncExitStack() as stack:
        good, seen = await stack.enter_async_context(echoing())

        async def before(*urls: str, answer_seconds: float = 5.0) -> Gateway:
            database = await open_database(MIGRATIONS)
            listed = ",".join(one.format(good=good) for one in urls)
            opened = gateway_before(
                database, listed, seen, answer_seconds=answer_seconds, owner_silent_seconds=SILENT_SECONDS
            )
            return await stack.enter_async_context(opened)

        yield before


async def test_a_read_goes_to_the_replica_that_answers(edge: Callable[..., Awaitable[Gateway]]) -> None:
    hung, dropping = Hung(), Dropping(0)
    async with a_replica(hung) as silent, a_replica(dropping) as dead:
        gateway = await edge(silent, AWAY, "{good}", dead)
        key, began = await gateway.key(7), time.monotonic()
        for _ in range(12):
            answer = await gateway.http.get("/v1/balances", headers=key)
            assert (answer.status_code, answer.json()["path"]) == (200, "/accounts/7/balances")
        assert time.monotonic() - began < 4 * SILENT_SECONDS + 2, "who was silent once is asked last"
    assert hung.asked <= 2


async def test_what_has_a_key_is_asked_of_another_replica_and_what_has_none_is_not(
    edge: Callable[..., Awaitable[Gateway]],
) -> None:
    for replica in (Dropping(0), Hung()):
        async with a_replica(replica) as bad:
            gateway = await edge(bad, "{good}", answer_seconds=1.0)
            key, told = await gateway.key(7), []
            for number in range(4):
                gateway.seen.clear()
                headers = key | {"Idempotency-Key": f"k{number}"}
                body = {"numbers": ["O1"], "wait_seconds": 0}
                answer = await gateway.http.post("/v1/invoice-requests", json=body, headers=headers)
                assert answer.status_code == 200, answer.text
                assert [one.headers["idempotency-key"] for one in gateway.seen] == [f"k{number}"]
            await asyncio.sleep(0)
            gateway = await edge(bad, "{good}", answer_seconds=0.5)
            for _ in range(2):
                answer = await gateway.http.post("/v1/invoice-requests/5/cancel", headers=await gateway.key(7))
                told.append(answer.status_code)
            assert sorted(told) == [200, 504], "one of two was asked, and only one"


async def test_what_has_no_key_goes_on_where_nothing_was_sent(edge: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await edge(AWAY, "{good}")
    for _ in range(3):
        answer = await gateway.http.post("/v1/invoice-requests/5/cancel", headers=await gateway.key(7))
        assert answer.status_code == 200


async def test_a_read_is_repeated_on_a_connection_that_died_in_the_pool(
    edge: Callable[..., Awaitable[Gateway]],
) -> None:
    replica = Dropping(1)
    async with a_replica(replica) as url:
        gateway = await edge(url)
        key = await gateway.key(7)
        for number in range(1, 6):
            assert (await gateway.http.get("/v1/balances", headers=key)).status_code == 200, number


async def test_of_replicas_that_are_all_away_it_is_said_so(edge: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await edge(AWAY, "http://127.0.0.1:10")
    answer = await gateway.get("/v1/balances")
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    hung = Hung()
    async with a_replica(hung) as one, a_replica(hung) as other:
        gateway, began = await edge(one, other, answer_seconds=1.0), time.monotonic()
        answer = await gateway.get("/v1/balances")
        assert (answer.status_code, answer.json()["code"]) == (504, "NO_ANSWER")
        assert time.monotonic() - began < 3


async def test_a_connection_that_is_closed_while_it_is_made_is_one_that_died(
    edge: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client then fails with an error of another kind than its own."""
    real, closed = httpx2.AsyncClient.request, [True]

    async def request(client: httpx2.AsyncClient, method: str, url: str, **more: Any) -> httpx2.Response:  # noqa: ANN401
        if url.startswith("http://127") and closed and closed.pop():
            raise AttributeError("'NoneType' object has no attribute 'getpeername'")
        return await real(client, method, url, **more)

    monkeypatch.setattr(httpx2.AsyncClient, "request", request)
    gateway = await edge("{good}")
    assert (await gateway.http.get("/v1/balances", headers=await gateway.key(7))).status_code == 200
    assert not closed


async def test_a_wait_that_is_meant_is_no_silence(edge: Callable[..., Awaitable[Gateway]]) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(3 * SILENT_SECONDS)
        writer.write(NO_CONTENT)

    async with a_replica(slow) as url:
        gateway = await edge(url, url.replace("127.0.0.1", "localhost"))
        body = {"numbers": ["O1"], "wait_seconds": 2}
        headers = await gateway.key(7) | {"Idempotency-Key": "k"}
        began = time.monotonic()
        answer = await gateway.http.post("/v1/invoice-requests", json=body, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"[]")
        assert time.monotonic() - began < 6 * SILENT_SECONDS


async def test_a_name_with_several_addresses_is_several_replicas() -> None:
    named = await Replicas("http://localhost:81/").addresses()
    assert {one.host for one in named} == {"localhost:81"}
    assert all(one.url.host in ("127.0.0.1", "::1") for one in named)
    assert len(await Replicas("http://127.0.0.1:81, http://127.0.0.1:82").addresses()) == 2
    assert [str(one.url) for one in await Replicas("http://no.such.host.invalid:81").addresses()] == [
        "http://no.such.host.invalid:81"
    ]


async def test_who_failed_comes_last_for_a_while_and_others_take_turns() -> None:
    replicas = Replicas("http://127.0.0.1:81,http://127.0.0.1:82,http://127.0.0.1:83")
    first = [(await replicas.addresses())[0] for _ in range(6)]
    assert len({*first}) == 3
    replicas.failed(first[0])
    assert {(await replicas.addresses())[-1] for _ in range(6)} == {first[0]}
    replicas.answered(first[0])
    assert first[0] in [(await replicas.addresses())[0] for _ in range(3)]
