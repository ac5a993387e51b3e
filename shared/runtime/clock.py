"""The one source of time and of new ids. Everything else is given `now` and never asks.

Business time is wall time plus an offset that tests and demonstrations may move. Leases and back-off use the database's clock, which
all processes share, durations a monotonic one: moving the business clock, or a wrong wall clock, expires nothing. The simulation
replaces all three with a clock of its own.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from asyncpg import Connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Wall time. `offset` is set by whoever follows the test clock; it stays zero in production."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def real(self) -> datetime:
        return datetime.now(UTC)

    def now(self) -> datetime:
        return self.real() + self.offset

    def monotonic(self) -> float:
        """Seconds, for durations: nobody sets this clock, and it never goes back."""
        return time.monotonic()

    async def lease_time(self, db: Connection) -> datetime:
        """By which leases begin and end, and what is due is found: the database's clock, which all processes share."""
        at: datetime = await db.fetchval("SELECT clock_timestamp()")
        return at

    def jitter(self) -> float:
        """Between 0 and 1, to keep replicas from retrying in step."""
        return secrets.randbelow(1000) / 1000

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SteppedClock(Clock):
    """A wall clock that is wrong by as many seconds as a file says, which may change at any moment: for tests of what that does."""

    def __init__(self, wrong_by: Path) -> None:
        super().__init__()
        self._wrong_by = wrong_by

    def real(self) -> datetime:
        try:
            seconds = float(self._wrong_by.read_text(encoding="utf-8"))
        except FileNotFoundError:
            seconds = 0.0
        return super().real() + timedelta(seconds=seconds)


class VirtualClock(Clock):
    """Time that moves only when told to, or as far as somebody wants to pause."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def real(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return (self._at - EPOCH).total_seconds()

    async def lease_time(self, db: Connection) -> datetime:  # noqa: ARG002
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
