"""The one source of time and of new ids. Everything else is given `now` and never asks.

Business time is wall time plus an offset that tests and demonstrations may move; leases, back-off and timeouts use real
time, so that moving the business clock expires nothing. The simulation replaces both with a clock of its own.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID


class Clock:
    """Wall time. `offset` is set by whoever follows the test clock; it stays zero in production."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def real(self) -> datetime:
        return datetime.now(UTC)

    def now(self) -> datetime:
        return self.real() + self.offset

    def jitter(self) -> float:
        """Between 0 and 1, to keep replicas from retrying in step."""
        return secrets.randbelow(1000) / 1000

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock(Clock):
    """Time that moves only when told to, or as far as somebody wants to pause."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def real(self) -> datetime:
        return self._at

    def set(self, at: datetime) -> None:
        if at < self._at:
            raise ValueError(f"time cannot go back from {self._at} to {at}")
        self._at = at

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)

    def jitter(self) -> float:
        return 0.5

    async def pause(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


NewId = Callable[[], UUID]


def uuid7() -> UUID:
    """A version 7 UUID: 48 bits of milliseconds, then random; sorts by time of creation (RFC 9562)."""
    return uuid7_of(time.time_ns() // 1_000_000, secrets.randbits(74))


def uuid7_of(milliseconds: int, random_bits: int) -> UUID:
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (random_bits >> 62 & 0xFFF) << 64
    value |= 0b10 << 62 | (random_bits & (2**62 - 1))
    return UUID(int=value)
