"""What a deliberately broken variant is, and how it takes the place of the real thing."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from unittest.mock import patch

import asyncpg

LOCKS = {r"\bFOR UPDATE( OF \w+)?( SKIP LOCKED)?": ""}
"""Every lock of a row, and every passing over of rows that others have."""


class NeverCalledError(AssertionError):
    """Nobody called what stands in for the target: the target has moved, or is bound under another name."""


@dataclass(frozen=True)
class Mutant:
    """`killed_by` is the invariant that notices, on `seed`."""

    target: str
    replacement: Callable[..., Any]
    killed_by: str
    seed: int

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A target that is gone is an `AttributeError`; one that nobody calls any more fails at the end."""
        calls = 0

        @wraps(self.replacement)
        def counted(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            return self.replacement(*arguments, **options)

        with patch(self.target, counted):
            yield
        if calls == 0:
            raise NeverCalledError(self.target)


@dataclass(frozen=True)
class Rewritten:
    """Statements that PostgreSQL gets otherwise: patterns of SQL and what stands there instead."""

    patterns: Mapping[str, str]
    killed_by: str
    seed: int

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A pattern that no statement has fails at the end."""
        real = asyncpg.Connection._get_statement  # type: ignore[attr-defined]  # every statement with arguments comes by
        left = {*self.patterns}

        async def rewritten(db: Any, query: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            for pattern, instead in self.patterns.items():
                query, times = re.subn(pattern, instead, query)
                if times:
                    left.discard(pattern)
            return await real(db, query, *arguments, **options)

        with ExitStack() as stack:
            stack.enter_context(patch.object(asyncpg.Connection, "_get_statement", rewritten))
            yield
        if left:
            raise NeverCalledError(", ".join(sorted(left)))
