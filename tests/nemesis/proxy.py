"""TCP proxies between programs. Each passes on until it is told to cut, to hang, to be slow, to go elsewhere, or to lose answers to COMMIT.

All of them run on one event loop in a thread of their own, so that whoever plays faults may block while bytes go on.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

LOOPBACK = "127.0.0.1"
CHUNK = 65536
COMMIT = b"COMMIT;\0"
"""As asyncpg writes it, in a simple query."""
THREAD_ENDS_SECONDS = 10.0

Address = tuple[str, int]


@dataclass(eq=False)
class Link:
    """One connection, both halves of it. `deaf`: the server's next answer gets lost, and the connection with it."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    deaf: bool = False

    def end(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Listens at one address and connects to another. Its verbs belong to the loop it listens on."""

    def __init__(self, name: str, target: Address) -> None:
        self.name = name
        self.target = target
        self.port = 0
        self.lost = 0
        """Answers to COMMIT that nobody got."""
        self._is_cut = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._delay_seconds = 0.0
        self._lost_every, self._commits = 0, 0
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, host: str = LOOPBACK, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None, "who never listened need not end"
        self._server.close()
        tasks = list(self._links.values())
        self._end_links()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def links(self) -> int:
        return len(self._links)

    def pass_on(self) -> None:
        """Neither cut nor hung nor slow. What was held back while it hung goes on."""
        self._is_cut, self._delay_seconds = False, 0.0
        self._passing.set()

    def cut(self) -> None:
        """Every connection ends, and new ones end at once."""
        self._is_cut = True
        self._end_links()

    def hang(self) -> None:
        """A black hole: connections stay, new ones are taken, and nothing comes through in either direction."""
        self._passing.clear()

    def slow(self, seconds: float) -> None:
        """Each piece that is read waits so long."""
        self._delay_seconds = seconds

    def redirect(self, target: Address) -> None:
        """Who comes again comes to somebody else."""
        self.target = target
        self._end_links()

    def lose_answers(self, every: int) -> None:
        """Each so many-th COMMIT reaches the server, and its answer does not come back. 0: no longer."""
        self._lost_every = every

    def _end_links(self) -> None:
        for link in list(self._links):
            link.end()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        link = Link([writer])
        self._links[link] = task = asyncio.create_task(self._connect(link, reader, writer))
        task.add_done_callback(lambda _: self._links.pop(link, None))

    async def _connect(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._passing.wait()
            there, back = await asyncio.open_connection(*self.target)
            link.writers.append(back)
            if self._is_cut or writer.transport.is_closing():
                return
            await asyncio.gather(self._ask(link, reader, back), self._answer(link, there, writer))
        except (OSError, RuntimeError):
            pass  # one side is gone (uvloop says so in its own way), and so the other goes
        finally:
            link.end()

    async def _ask(self, link: Link, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await self._read(client):
            if self._lost_every and COMMIT in data:
                self._commits += 1
                link.deaf = self._commits % self._lost_every == 0
            server.write(data)
            await server.drain()
        with suppress(OSError, RuntimeError):
            server.write_eof()

    async def _answer(self, link: Link, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await self._read(server):
            if link.deaf:
                self.lost += 1
                break
            client.write(data)
            await client.drain()
        link.end()

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        data = await source.read(CHUNK)
        if self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)  # the slowness that is simulated
        await self._passing.wait()
        return data


class Proxies:
    """The thread and all that listen in it. `tell` has one of them obey."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self.all: list[Proxy] = []

    def open(self, name: str, target: Address, host: str = LOOPBACK, port: int = 0) -> Proxy:
        async def listening() -> Proxy:
            proxy = Proxy(name, target)
            await proxy.listen(host, port)
            return proxy

        opened = asyncio.run_coroutine_threadsafe(listening(), self._loop).result()
        self.all.append(opened)
        return opened

    def tell(self, order: Callable[[], None]) -> None:
        """Returns when it was obeyed."""

        async def obeyed() -> None:
            order()

        asyncio.run_coroutine_threadsafe(obeyed(), self._loop).result()

    def close(self) -> None:
        for proxy in self.all:
            asyncio.run_coroutine_threadsafe(proxy.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(THREAD_ENDS_SECONDS)
        self._loop.close()
