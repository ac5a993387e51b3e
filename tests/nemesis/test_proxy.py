"""What a proxy does to bytes, and to a COMMIT of a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from deploy.demo.client import eventually
from tests.nemesis.proxy import LOOPBACK, Proxies, Proxy
from tests.support.servers import PostgresServer

SOON_SECONDS = 0.3


@asynccontextmanager
async def echo(prefix: bytes = b"") -> AsyncIterator[int]:
    """A server that says what it hears."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                writer.write(prefix + line)
        writer.close()

    server = await asyncio.start_server(repeat, LOOPBACK, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy("echo", (LOOPBACK, port))
    await proxy.listen()
    yield proxy
    await proxy.close()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, proxy: Proxy) -> "Caller":
        return cls(*await asyncio.open_connection(LOOPBACK, proxy.port))

    async def ask(self, line: bytes = b"hello\n") -> bytes:
        """Nothing if the connection is gone."""
        try:
            self.writer.write(line)
            return await self.reader.readline()
        except OSError:
            return b""

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.readline(), SOON_SECONDS)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self.writer.transport.abort()


async def test_a_cut_ends_what_is_open_and_what_comes_until_it_is_healed() -> None:
    async with echo() as port, proxied(port) as proxy:
        before = await Caller.of(proxy)
        assert await before.ask() == b"hello\n"
        proxy.cut()
        assert await before.ask() == b""
        during = await Caller.of(proxy)
        assert await during.ask() == b""
        proxy.pass_on()
        after = await Caller.of(proxy)
        assert await after.ask() == b"hello\n"
        for one in (before, during, after):
            one.close()


async def test_what_hangs_stays_open_and_goes_on_with_what_was_said_meanwhile() -> None:
    async with echo() as port, proxied(port) as proxy:
        open_before = await Caller.of(proxy)
        assert await open_before.ask() == b"hello\n"
        proxy.hang()
        came_meanwhile = await Caller.of(proxy)
        for one in (open_before, came_meanwhile):
            one.writer.write(b"late\n")
            assert await one.hears_nothing()
        proxy.pass_on()
        assert [await one.reader.readline() for one in (open_before, came_meanwhile)] == [b"late\n", b"late\n"]
        open_before.close()
        came_meanwhile.close()


async def test_slow_takes_its_time_in_each_direction() -> None:
    async with echo() as port, proxied(port) as proxy:
        caller = await Caller.of(proxy)
        await caller.ask()
        proxy.slow(0.1)
        began = asyncio.get_running_loop().time()
        assert await caller.ask() == b"hello\n"
        assert asyncio.get_running_loop().time() - began >= 0.2
        caller.close()


async def test_who_comes_after_a_redirect_comes_to_the_other_one() -> None:
    async with echo(b"1") as first, echo(b"2") as second, proxied(first) as proxy:
        caller = await Caller.of(proxy)
        assert await caller.ask() == b"1hello\n"
        proxy.redirect((LOOPBACK, second))
        assert await caller.ask() == b""
        again = await Caller.of(proxy)
        assert await again.ask() == b"2hello\n"
        caller.close()
        again.close()


async def test_a_connection_that_ends_leaves_nothing_behind() -> None:
    async with echo() as port, proxied(port) as proxy:
        caller = await Caller.of(proxy)
        await caller.ask()
        assert proxy.links == 1
        caller.close()

        async def is_gone() -> bool:
            return proxy.links == 0

        await eventually("end of the connection", is_gone, 5)


@pytest.mark.database
async def test_a_commit_whose_answer_is_lost_is_a_commit(postgres: PostgresServer) -> None:
    assert postgres.settings is not None
    name = "commit_without_an_answer"
    proxies = Proxies()
    proxy = proxies.open("postgres", (LOOPBACK, postgres.settings.port))
    direct = await asyncpg.connect(postgres.dsn)
    db = await asyncpg.connect(postgres.dsn.replace(f":{postgres.settings.port}/", f":{proxy.port}/"))
    try:
        await direct.execute(f"CREATE TABLE {name} (number int)")
        proxies.tell(lambda: proxy.lose_answers(every=2))
        async with db.transaction():
            await db.execute(f"INSERT INTO {name} VALUES (1)")
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            async with db.transaction():
                await db.execute(f"INSERT INTO {name} VALUES (2)")
        assert [row["number"] for row in await direct.fetch(f"SELECT number FROM {name} ORDER BY 1")] == [1, 2]
        assert proxy.lost == 1
    finally:
        db.terminate()
        await direct.execute(f"DROP TABLE IF EXISTS {name}")
        await direct.close()
        proxies.close()
