"""How much of this process one account may use: so many requests under way at once, so many a second. Kept in memory, so each replica of
the gateway counts for itself: with n of them an account may have n times as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ACCOUNTS_MAX = 10_000
"""Known at once; those that have been idle longest are forgotten first, which gives them no more than they have."""


class Throttled(Exception):  # noqa: N818 - it is a "no", which the route says
    """`limit`: which one was reached."""

    def __init__(self, limit: str, retry_after_seconds: int) -> None:
        super().__init__(limit)
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


@dataclass
class _Use:
    left: float
    at: float
    running: int = 0


class Throttle:
    def __init__(self, at_once: int, per_second: float, burst: int) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._burst = float(burst)
        self._uses: dict[int, _Use] = {}

    @contextmanager
    def using(self, account_id: int, now: float) -> Iterator[None]:
        """For as long as a request lasts. `now` never goes back."""
        use = self._uses.pop(account_id, None) or _Use(self._burst, now)
        self._uses[account_id] = use
        self._forget()
        use.left = min(self._burst, use.left + (now - use.at) * self._per_second)
        use.at = now
        if use.running >= self._at_once:
            raise Throttled(f"{self._at_once} requests at once", 1)
        if use.left < 1:
            raise Throttled(f"{self._per_second:g} requests a second", int((1 - use.left) / self._per_second) + 1)
        use.left -= 1
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1

    def _forget(self) -> None:
        if len(self._uses) > ACCOUNTS_MAX:
            oldest = next(iter(self._uses))
            if not self._uses[oldest].running:
                del self._uses[oldest]
