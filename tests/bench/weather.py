"""Deadlocks and the like are tried again at once, as the pipeline does in the end; and counted, because each costs others a second."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from shared.runtime.database import WEATHER

T = TypeVar("T")
TRIES_MAX = 20


@dataclass
class Weather:
    deadlocks: int = 0

    async def waited_out(self, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TRIES_MAX):
            try:
                return await work()
            except WEATHER as error:
                self.deadlocks += isinstance(error, asyncpg.DeadlockDetectedError)
        raise TimeoutError(f"not done in {TRIES_MAX} tries")
