"""The source of the project as a test reads it: files under git, their trees, what they import."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WATCHED = (
    *(
        "services",
        "shared",
        "deploy",
        "tests",
        "pydantic",
        "asyncpg",
        "fastapi",
        "aiokafka",
        "faststream",
        "httpx2",
        "aiosmtplib",
    ),
    *("obstore", "reportlab", "opentelemetry", "structlog"),
)
"""What a room may use only where that is said. The standard library is everybody's."""


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


PYTHON = tracked("*.py")
OF_SERVICES = [path for path in PYTHON if path.is_relative_to(ROOT / "services") and path.parent != ROOT / "services"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, *places: str) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def outsiders(path: Path, *allowed: str) -> list[str]:
    """What a file imports beyond the standard library and the places it may use."""
    return [m for m in imports(path) if m.split(".")[0] in WATCHED and not is_in(m, *allowed)]


def place_of(path: Path) -> tuple[str, str]:
    """Service and room; a file outside the rooms is its own room."""
    service, first = path.relative_to(ROOT / "services").parts[:2]
    return service, first.removesuffix(".py")


def files_of(kind: str) -> list[Path]:
    return [path for path in OF_SERVICES if path.name == f"{kind}.py"]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
