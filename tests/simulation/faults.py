"""What goes wrong: a process dies before or after a commit, or a commit hangs while others go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from asyncpg import Connection

from services.ledger.journal import limits
from shared.runtime.database import Database
from shared.runtime.outbox import Relay


class Crash(BaseException):
    """Stands for SIGKILL: nothing above catches it."""


class FaultyDatabase(Database):
    """Obeys a plan: the n-th transaction from now dies before or after its commit, or waits before it."""

    plan: tuple[str, int] | None = None
    held: asyncio.Event | None = None
    release: asyncio.Event | None = None

    def arm(self, kind: str, countdown: int) -> None:
        self.plan = (kind, countdown)

    def hold_next(self) -> None:
        """The next transaction waits before its commit until `release` is set; `held` says that it does."""
        self.held, self.release = asyncio.Event(), asyncio.Event()
        self.plan = ("hold", 0)

    def _due(self) -> str:
        if self.plan is None:
            return ""
        kind, countdown = self.plan
        self.plan = (kind, countdown - 1) if countdown else None
        return "" if countdown else kind

    @asynccontextmanager
    async def transaction(
        self, traceparent: str | None = None, account_id: int | None = None
    ) -> AsyncIterator[Connection]:
        kind = self._due()
        async with super().transaction(traceparent, account_id) as db:
            yield db
            if kind == "before":
                raise Crash
            if kind == "hold":
                assert self.held is not None
                assert self.release is not None
                self.held.set()
                await self.release.wait()
        if kind == "after":
            raise Crash


class CrashingRelay(Relay):
    """Can die between sending and marking."""

    def __init__(self, relay: Relay, dies: Callable[[], bool]) -> None:
        self.__dict__.update(relay.__dict__)
        self._dies = dies
        real = self._transport

        class Wire:
            async def send(self, records: Any) -> None:  # noqa: ANN401
                await real.send(records)
                if dies():
                    raise Crash

        self._transport = Wire()  # type: ignore[assignment]


SMALL = {"ITEMS_MAX": 3, "STEP_ITEMS": 2, "CHUNK_FIRST": 2, "CHUNK_MAX": 2}


@contextmanager
def small_limits() -> Iterator[None]:
    """What takes thousands of items in earnest takes a few here."""
    with ExitStack() as stack:
        for name, value in SMALL.items():
            stack.enter_context(patch.object(limits, name, value))
        yield
