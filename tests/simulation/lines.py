"""Which lines of the runtime a simulation executes. A line counts if it stands in a function; what runs at import is not counted."""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.support.source import ROOT, tracked

RUNTIME = ROOT / "shared" / "runtime"
Place = tuple[str, int]


def files(exempt: frozenset[str]) -> list[Path]:
    """Of the runtime, without those."""
    return [path for path in tracked("shared/runtime/*.py") if path.name not in exempt]


def lines_of(path: Path) -> set[int]:
    """Those of functions, without functions that only say what others do (`...`)."""
    text = path.read_text(encoding="utf-8")
    found: set[int] = set()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    hollow = {_first_line(node) for node in functions if _is_hollow(node)}
    waiting = [compile(text, str(path), "exec")]
    while waiting:
        code = waiting.pop()
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
        if code.co_flags & 1 and code.co_firstlineno not in hollow:  # optimised: a function, no class and no module
            found |= {line for _, _, line in code.co_lines() if line is not None}
    return found


@cache
def functions_of(path: Path) -> dict[int, str]:
    """The innermost one around each line, as Python names it: `Relay.step`."""
    found: dict[int, str] = {}
    waiting: list[tuple[ast.stmt, str]] = [(node, "") for node in ast.parse(path.read_text(encoding="utf-8")).body]
    while waiting:
        node, outer = waiting.pop(0)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{outer}{node.name}"
            found |= dict.fromkeys(range(_first_line(node), (node.end_lineno or 0) + 1), name)
            waiting += [(one, f"{name}.") for one in node.body]
    return found


def _first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def _is_hollow(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in node.body)


class Lines:
    """Filled while it is `watching`."""

    def __init__(self, paths: list[Path]) -> None:
        self._names = {str(path): path.name for path in paths}
        self.executed: set[Place] = set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, _event: str, _what: Any) -> Any:  # noqa: ANN401
        name = self._names.get(frame.f_code.co_filename)
        if name is None:
            return None
        executed = self.executed
        executed.add((name, frame.f_lineno))

        def line(inner: FrameType, _event: str, _what: Any) -> Any:  # noqa: ANN401
            executed.add((name, inner.f_lineno))
            return line

        return line
