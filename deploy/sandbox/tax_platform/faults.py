"""What goes wrong on the wire: a script for the next calls, one name a call, and connections that break in the middle."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FAULTS = ("lose_request", "lose_answer", "error_5xx", "slow")
"""In this order: never arrives; has its effect and no answer; a 503 without effect; has its effect and a late answer."""
SLOW_ANSWER_SECONDS = 3.0


class Script:
    def __init__(self) -> None:
        self.upcoming: list[str] = []

    def add(self, wanted: object) -> bool:
        """Adds all of them or, when one is unknown, none; says whether it did."""
        if not isinstance(wanted, list) or not all(fault in FAULTS for fault in wanted):
            return False
        self.upcoming += wanted
        return True

    def next(self) -> str:
        return self.upcoming.pop(0) if self.upcoming else ""


class BrokenOff(Response):
    """Begins to answer and breaks off: the caller sees a reset connection and learns nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
