"""What reading a recipient takes: the keys of its account, which title alone keeps."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

Unseal = Callable[[str, str], str]
"""From a sealed value and what it is about to the text; `Erased` if nobody can read it any more."""
T = TypeVar("T")


class Keys(Protocol):
    async def using(self, account_id: int, work: Callable[[Unseal], Awaitable[T]]) -> T:
        """`work` with the account's keys; it may be called twice."""
        ...
