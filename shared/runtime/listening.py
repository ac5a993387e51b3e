"""Where a process listens, and what it puts up with on a connection before anybody has said who they are.

Each listener has its own port and its own limit of connections: whoever fills the customers' keeps no operator out.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import httptools
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.runtime.problems import Problem

GRACE_SECONDS = 3
KEEP_ALIVE_SECONDS = 5
LINGER_SECONDS = 1.0
"""How long what is still being sent is thrown away after the answer, so that the answer is seen before the connection ends."""


@dataclass(frozen=True)
class Limits:
    """Of one listener. `head`: the address and the headers of a request."""

    connections: int = 1000
    head_bytes: int = 32 * 1024
    headers: int = 100
    head_seconds: float = 10.0


@dataclass(frozen=True)
class Listener:
    app: ASGIApp
    host: str
    port: int


class BoundedHttp(HttpToolsProtocol):
    """One connection. uvicorn's parser takes any number of headers and waits for their end for ever."""

    limits: ClassVar[Limits]
    open: ClassVar[Counter[int]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._bare, self._port = transport, self.server[1] or 0 if self.server else 0
        self._head_bytes = self._headers = 0
        self._in_head, self._in_body, self.is_ending = True, False, False
        self._refusal: Problem | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.open[self._port] += 1
        if self.open[self._port] > self.limits.connections:
            detail = "Too many connections are open. Try again in a moment."
            self._say(
                Problem(503, "SERVICE_UNAVAILABLE", "For the moment out of service", detail, {"Retry-After": "1"})
            )
            self.is_ending = True
            self._bare.close()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open[self._port] -= 1
        self.is_ending = True
        self._no_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_ending:
            return
        if self._deadline is None and not self._in_body:
            self._expect_head()
        super().data_received(data)
        if self._in_head and not self.is_ending:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._refusal = self._too_large()
                self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._headers = True, 0, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._headers += 1
        self._grow(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._no_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what httptools says of it helps nobody
        """Also for what was refused by a limit, and for what is no HTTP."""
        detail = "What was sent is no HTTP/1.1 request."
        said = self._say(self._refusal or Problem(400, "NO_HTTP", "This is not HTTP", detail))
        self.end(after=LINGER_SECONDS if said else 0.0)

    def closing(self) -> None:
        """The server is done with this connection, and the client may still be sending."""
        self.end(after=LINGER_SECONDS if self._in_body else 0.0)

    def end(self, after: float) -> None:
        if self.is_ending:
            return
        self.is_ending = True
        self._no_deadline()
        if not after or self._bare.is_closing():
            self._bare.close()
            return
        if self._bare.can_write_eof():
            self._bare.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.call_later(after, self._bare.close)

    def _grow(self, size: int) -> None:
        """Raising ends the parser: nothing more of this request is looked at."""
        self._head_bytes += size
        if self._head_bytes > self.limits.head_bytes or self._headers > self.limits.headers:
            self._refusal = self._too_large()
            raise httptools.HttpParserError("the head of the request is too large")

    def _too_large(self) -> Problem:
        detail = f"Address and headers may have {self.limits.head_bytes} bytes, and {self.limits.headers} headers. Send fewer."
        return Problem(431, "HEADERS_TOO_LARGE", "The headers are too large", detail)

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.limits.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        detail = f"Its headers were not there after {self.limits.head_seconds:g} s. Send all of them at once."
        self._say(Problem(408, "REQUEST_TOO_SLOW", "The request came too slowly", detail))
        self._deadline = None
        self.end(after=LINGER_SECONDS)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _say(self, problem: Problem) -> bool:
        """Not in the middle of another answer."""
        if self._bare.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
            return False
        answer = problem.response()
        headers = {
            "content-type": str(answer.media_type),
            "content-length": str(len(answer.body)),
            "connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in (headers | problem.headers).items())
        self._bare.write(f"HTTP/1.1 {problem.status} {problem.content['title']}\r\n{head}\r\n".encode() + answer.body)
        return True


class _Lingering:
    """The transport as uvicorn sees it: who closes it while a body is on its way loses the answer, which is then never read."""

    def __init__(self, transport: asyncio.Transport, connection: BoundedHttp) -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def close(self) -> None:
        self._connection.closing()

    def is_closing(self) -> bool:
        return self._connection.is_ending or self._transport.is_closing()


def bounded(limits: Limits) -> type[BoundedHttp]:
    return type("BoundedHttp", (BoundedHttp,), {"limits": limits, "open": Counter()})


def config(apps: Mapping[int, ASGIApp], lifespan: ASGIApp, limits: Limits) -> uvicorn.Config:
    """`lifespan`: the app that starts and ends with the process."""

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        app = lifespan if scope["type"] == "lifespan" else apps[scope["server"][1]]
        await app(scope, receive, send)

    return uvicorn.Config(
        by_port,
        http=bounded(limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def sockets_of(listeners: Sequence[Listener]) -> dict[socket.socket, ASGIApp]:
    """Bound, each with its app. A port that is taken is said with its number."""
    bound = {}
    for one in listeners:
        found = socket.getaddrinfo(one.host, one.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.setblocking(False)
        bound[listening] = one.app
    return bound


def server_of(
    listeners: Sequence[Listener],
    lifespan: ASGIApp,
    limits: Limits,
    kind: Callable[[uvicorn.Config], uvicorn.Server] = uvicorn.Server,
) -> tuple[uvicorn.Server, list[socket.socket]]:
    """A server, and the sockets to serve with it."""
    bound = sockets_of(listeners)
    apps = {one.getsockname()[1]: app for one, app in bound.items()}
    return kind(config(apps, lifespan, limits)), [*bound]
