"""What all faults have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from tests.nemesis.proxy import Proxy
from tests.nemesis.stack import NemesisStack

Backlog = Callable[[str], Coroutine[Any, Any, None]]


class Fault(ABC):
    """Plays one step. `heal` puts everything right and says what the fault came to: one that did nothing proves nothing."""

    def __init__(self, stack: NemesisStack, how: dict[str, Any], backlog: Backlog) -> None:
        self.stack, self.how, self.backlog = stack, how, backlog

    @staticmethod
    def lasts(seconds: float) -> float:
        return seconds

    @abstractmethod
    async def begin(self) -> None: ...

    @abstractmethod
    async def heal(self) -> str: ...

    def tell(self, proxies: Iterable[Proxy], verb: str, *values: float) -> None:
        """`cut`, `hang`, `pass_on` …, as the schedule says it."""
        for proxy in proxies:
            self.stack.proxies.tell(lambda one=proxy: getattr(one, verb)(*values))  # type: ignore[misc]


class DidNothing(AssertionError):  # noqa: N818 - it is the test that proves nothing
    """The fault was played, and nothing came of it."""


class Skipped(Exception):  # noqa: N818 - nothing is wrong
    """This machine cannot play it, and says why."""
