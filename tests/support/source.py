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


def used_of_the_domain(path: Path) -> Iterator[str]:
    """As `module.name`, whether a file imports the name or the module."""
    modules = {m.rpartition(".")[2] for m in imports(path) if m.count(".") == 2 and is_in(m, "shared.domain")}
    yield from (m.removeprefix("shared.domain.") for m in imports(path) if is_in(m, "shared.domain"))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{node.value.id}.{node.attr}"


def domain_names() -> Iterator[tuple[str, set[str]]]:
    """Each function and class of `shared/domain` as `module.name`, and those it names."""
    for path in tracked("shared/domain/*.py"):
        module, parsed = path.stem, tree(path)
        known = {
            one.name: f"{module}.{one.name}" for one in parsed.body if isinstance(one, ast.FunctionDef | ast.ClassDef)
        }
        for node in ast.walk(parsed):
            if isinstance(node, ast.ImportFrom) and node.module and is_in(node.module, "shared.domain"):
                known |= {alias.name: f"{node.module.split('.')[-1]}.{alias.name}" for alias in node.names}
        constants = {
            target.id: _named(one, known)
            for one in parsed.body
            if isinstance(one, ast.Assign | ast.AnnAssign)
            for target in (one.targets if isinstance(one, ast.Assign) else [one.target])
            if isinstance(target, ast.Name)
        }
        for one in parsed.body:
            if isinstance(one, ast.FunctionDef | ast.ClassDef):
                through = {
                    named
                    for node in ast.walk(one)
                    if isinstance(node, ast.Name)
                    for named in constants.get(node.id, ())
                }
                yield f"{module}.{one.name}", _named(one, known) | through


def _named(node: ast.AST, known: dict[str, str]) -> set[str]:
    named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    quoted = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return {known[one] for one in named | quoted if one in known}
