"""Bulkheads: what a task wants connections for, so that none can take those of another.

handlers   messages, and the relay
workers    calls to the outside, and jobs
http       whatever is asked over HTTP; who waits there for an answer holds no connection meanwhile
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Purpose = Literal["handlers", "workers", "http"]
PURPOSE: ContextVar[Purpose] = ContextVar("purpose", default="handlers")
"""Set once where a task begins."""
ACQUIRE_SECONDS: Mapping[Purpose, float] = {"handlers": 30.0, "workers": 10.0, "http": 5.0}
"""How long one waits for a connection; then it is a transient error, over HTTP a 503."""


class AtTheEdge:
    """ASGI: a request draws on the connections that are for requests."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            PURPOSE.set("http")
        await self._app(scope, receive, send)
