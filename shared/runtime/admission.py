"""What stands before every route: who is let in is decided by the headers alone, then the body is read, no more than may be and no longer.

FastAPI reads a body before it asks who sent it. And it is the last one who can answer: what goes wrong behind it is logged by its type.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.problems import Problem, away, bug, invalid

log = structlog.get_logger()

Admit = Callable[[Headers], AbstractAsyncContextManager[Mapping[str, Any]]]
"""Lets a request in, for as long as it lasts, and says what shall stand in its `state`; or raises a `Problem`."""


@dataclass(frozen=True)
class Bounds:
    """Of a body: how long it may be, how long it may take to arrive, and whether it is JSON of which texts are kept."""

    body_max_bytes: int = 64 * 1024
    body_seconds: float = 10.0
    is_json: bool = True


class Gone(Exception):  # noqa: N818 - the client is, and nobody waits for an answer
    """Whoever asked has closed the connection."""


class Admission:
    """Guards every path that begins with `guards`; the bounds hold for all."""

    def __init__(self, app: ASGIApp, admit: Admit, guards: str, bounds: Bounds) -> None:
        self._app = app
        self._admit = admit
        self._guards = guards
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, body_is_read=not _has_body(Headers(scope=scope)))
        try:
            await self._pass(scope, receive, answer)
        except Gone:
            return
        except Problem as problem:
            await answer.instead(problem, scope, receive)
        except TRANSIENT_ERRORS:
            await answer.instead(away(), scope, receive)
        except Exception as error:  # noqa: BLE001 - whoever stands outside would log its text, which may be personal
            log.error("request failed", error=type(error).__name__, at=place_of(error))
            await answer.instead(bug(), scope, receive)

    async def _pass(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if not scope["path"].startswith(self._guards):
            await self._run(scope, receive, answer)
            return
        async with self._admit(Headers(scope=scope)) as who:
            scope["state"] = {**scope.get("state", {}), **who}
            await self._run(scope, receive, answer)

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        body = await self._body(Headers(scope=scope), receive)
        answer.body_is_read = True
        if body and self._bounds.is_json and (wrong := list(unstorable(body))):
            raise invalid(wrong)
        await self._app(scope, _again(body, receive), answer)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._bounds.body_max_bytes:
            raise self._too_long()
        body: bytes = b""
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    body += bytes(message.get("body", b""))
                    if len(body) > self._bounds.body_max_bytes:
                        raise self._too_long()
                    if not message.get("more_body", False):
                        return body
        except TimeoutError:
            detail = f"Its body was not there after {self._bounds.body_seconds:g} s. Send all of it at once."
            raise Problem(408, "REQUEST_TOO_SLOW", "The request came too slowly", detail) from None

    def _too_long(self) -> Problem:
        most = self._bounds.body_max_bytes
        detail = f"A body may have {most} bytes. Send less at once."
        return Problem(413, "BODY_TOO_LARGE", "The body is too large", detail, body_max_bytes=most)


class _Answer:
    """What goes out. A client that still sends a body nobody reads is told that the connection ends."""

    def __init__(self, send: Send, body_is_read: bool) -> None:
        self._send = send
        self._started = False
        self.body_is_read = body_is_read

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            if not self.body_is_read:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await self._send(message)

    async def instead(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Half an answer cannot be taken back: the server closes the connection."""
        if not self._started:
            await problem.response()(scope, receive, self)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def by_token(expected: str) -> Admit:
    """Whoever holds this system's token."""
    wanted = f"Bearer {expected}".encode()

    @asynccontextmanager
    async def admit(headers: Headers) -> AsyncIterator[Mapping[str, Any]]:
        if not hmac.compare_digest(headers.get("authorization", "").encode(), wanted):
            detail = "Send `Authorization: Bearer <token>` with the token of this system."
            raise Problem(401, "UNAUTHORIZED", "No valid token", detail, {"WWW-Authenticate": "Bearer"})
        yield {}

    return admit


@asynccontextmanager
async def everybody(_: Headers) -> AsyncIterator[Mapping[str, Any]]:
    """For routes that check their callers themselves."""
    yield {}


def place_of(error: BaseException) -> str:
    """File and line where it was raised: of an error only what is ours, never its text."""
    frames = extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def unstorable(body: bytes) -> Iterator[Mapping[str, Any]]:
    """What is wrong with texts that no database holds: NUL, and half a surrogate pair. What is no JSON is said by whoever reads it."""
    try:
        content = json.loads(body)
    except json.JSONDecodeError:
        return
    except (ValueError, RecursionError):
        yield {"loc": ("body",), "msg": "Its bytes are no JSON of a sensible depth and length of numbers", "input": ""}
        return
    yield from _unstorable(content, ("body",))


def _unstorable(content: object, place: tuple[str | int, ...]) -> Iterator[Mapping[str, Any]]:
    """Without recursion: how deep a JSON may be is no reason to fail."""
    waiting: list[tuple[object, tuple[str | int, ...]]] = [(content, place)]
    while waiting:
        one, where = waiting.pop()
        if isinstance(one, str) and (why := _why_not(one)):
            yield {"loc": where, "msg": why, "input": one}
        elif isinstance(one, list):
            waiting += [(each, (*where, number)) for number, each in enumerate(one)]
        elif isinstance(one, dict):
            waiting += [(each, (*where, name)) for name, each in one.items()]
            for name in one:
                if why := _why_not(name):
                    yield {"loc": (*where, name), "msg": why, "input": name}


def _why_not(text: str) -> str | None:
    if "\x00" in text:
        return "A text cannot have the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "A text cannot have half a surrogate pair"
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as one message; then whatever comes."""
    told = False

    async def first() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return first
