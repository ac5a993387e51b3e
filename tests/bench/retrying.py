"""Deadlocks and the like are tried again at once, as the pipeline does in the end; and counted, because each costs others a second."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from shared.runtime.database import TRANSIENT_ERRORS

T = TypeVar("T")
TRIES_MAX = 20


@dataclass
class Retrying:
    deadlocks: int = 0

    async def until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TRIES_MAX):
            try:
                return await work()
            except TRANSIENT_ERRORS as error:
                self.deadlocks += isinstance(error, asyncpg.DeadlockDetectedError)
        raise TimeoutError(f"not done in {TRIES_MAX} tries")
