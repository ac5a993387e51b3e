"""Whether whoever has work settles any of it. Unhealthy means: work is there, it could be done, and for a minute nothing was settled.

Age says nothing: who drains forty thousand old rows is well. Time in which a database or a broker was away does not count
(`possible_since`, of the same monotonic clock), because nothing could be done then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

STANDSTILL_SECONDS = 60.0

_in_work: ContextVar[Callable[[], None] | None] = ContextVar("_in_work", default=None)


class Progress:
    """Of one partition, one queue or the relay. `trouble` is what its last try failed with, if it did."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self.trouble: str | None = None

    def settled(self) -> None:
        """Something was settled, or there was nothing to do."""
        self._since, self.trouble = self._monotonic(), None

    def failed(self, error: BaseException) -> None:
        self.trouble = type(error).__name__

    def still_seconds(self, possible_since: float = 0.0) -> float:
        """How long something could have been settled, and nothing was."""
        return self._monotonic() - max(self._since, possible_since)


@contextmanager
def tells(settled: Callable[[], None]) -> Iterator[None]:
    """Each commit of the work inside calls `settled`: a batch that runs one by one makes progress before it has ended."""
    token = _in_work.set(settled)
    try:
        yield
    finally:
        _in_work.reset(token)


def committed() -> None:
    if (settled := _in_work.get()) is not None:
        settled()
