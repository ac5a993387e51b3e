"""The house rules as a test: imports between rooms, length of files, no branches in handlers, and where things may happen."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.runtime.database import LISTS

ROOT = Path(__file__).parent.parent
SERVICES = ("title", "ledger", "invoicing", "notification", "gateway")
LINES_MAX, RUNTIME_LINES_MAX = 300, 400
TOP_LEVEL = {
    *("services", "shared", "deploy", "tests", "docs", "requirements", ".ci"),
    *(
        "docker-compose.yml",
        "Makefile",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        ".gitignore",
        ".dockerignore",
        ".yamllint",
    ),
}
BROAD = (
    "asyncpg",
    "fastapi",
    "aiokafka",
    "faststream",
    "httpx2",
    "aiosmtplib",
    "obstore",
    "reportlab",
    "opentelemetry",
    "structlog",
)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


PYTHON = tracked("*.py")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def outsiders(path: Path, *allowed: str) -> list[str]:
    """What a file imports beyond the standard library and the rooms it may use."""
    watched = ("services", "shared", "deploy", "tests", "pydantic", *BROAD)
    return [
        module
        for module in imports(path)
        if module.split(".")[0] in watched
        and not any(module == room or module.startswith(f"{room}.") for room in allowed)
    ]


@pytest.mark.parametrize("path", [path for path in PYTHON if not name(path).startswith("tests/")], ids=name)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (RUNTIME_LINES_MAX if name(path).startswith("shared/runtime/") else LINES_MAX)
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first lines say what the room is for"


def test_shared_imports_no_service_and_contracts_import_nothing_but_pydantic() -> None:
    assert [
        m for path in tracked("shared/*.py") for m in imports(path) if m.startswith(("services", "deploy", "tests"))
    ] == []
    assert {
        m for path in tracked("shared/contracts/*.py") for m in outsiders(path, "pydantic", "shared.contracts")
    } == set()
    assert {m for path in tracked("shared/domain/*.py") for m in outsiders(path, "shared.domain")} == set()


def test_kafka_is_known_to_the_wire_port_and_the_test_clock_only() -> None:
    knowing = {
        name(path)
        for path in tracked("shared/*.py", "services/*.py")
        if {m.split(".")[0] for m in imports(path)} & {"aiokafka", "faststream"}
    }
    assert knowing == {"shared/runtime/kafka.py", "shared/runtime/shared_clock.py"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_imports_another(service: str) -> None:
    others = tuple(f"services.{other}" for other in SERVICES if other != service)
    found = [
        f"{name(path)}: {m}"
        for path in tracked(f"services/{service}/*.py")
        for m in imports(path)
        if m.startswith((*others, "deploy", "tests"))
    ]
    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_room_of_a_service_imports_only_what_it_may(service: str) -> None:
    own = f"services.{service}"
    pure = (
        "shared.contracts",
        "shared.domain",
        f"{own}.domain",
        f"{own}.adapters.port",
        f"{own}.documents.face",
        f"{own}.texts",
    )
    allowed = {
        "domain": pure,
        "store": (*pure, f"{own}.store", "asyncpg"),
        "handlers": (*pure, f"{own}.store", "asyncpg.Connection"),
        "effects": (
            *pure,
            f"{own}.store",
            f"{own}.handlers",
            f"{own}.adapters",
            f"{own}.documents",
            "shared.runtime.objects",
        ),
    }
    for path in tracked(f"services/{service}/*.py"):
        room = path.relative_to(ROOT / "services" / service).parts[0].removesuffix(".py")
        if room in allowed:
            assert outsiders(path, *allowed[room]) == [], name(path)


@pytest.mark.parametrize("service", SERVICES)
def test_handlers_do_not_branch_and_are_short(service: str) -> None:
    path = ROOT / "services" / service / "handlers.py"
    if not path.exists():
        pytest.skip(f"{service} has no handlers")
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.AsyncFunctionDef):
            branches = [
                n for n in ast.walk(function) if isinstance(n, ast.If | ast.IfExp | ast.Match | ast.While | ast.Try)
            ]
            assert branches == [], f"{service}.{function.name} branches: a rule belongs into domain.py"
            assert len(function.body) <= 8, f"{service}.{function.name} has {len(function.body)} statements"


def test_nobody_above_the_runtime_catches_everything() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in tracked("services/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    ]
    assert found == []


def test_domain_reads_no_clock_and_makes_no_random() -> None:
    forbidden = {"time", "random", "secrets", "os", "uuid", "asyncio"}
    found = [
        f"{name(path)}: {m}"
        for path in tracked("services/*/domain*.py", "services/*/domain/*.py", "shared/domain/*.py")
        for m in imports(path)
        if m.split(".")[0] in forbidden
    ]
    assert found == []
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in tracked("services/*/domain*.py", "services/*/domain/*.py", "shared/domain/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"datetime.now", "datetime.utcnow", "date.today", "datetime.today"}
    ]
    assert calls == []


def test_the_top_level_holds_what_the_design_names() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    backwards = ("gro.ipyp", "detsohnohtyp.selif", "sjmpn.yrtsiger", "nevam.1oper", "gro.naibed.bed", "oi.setarc")
    hosts = [host[::-1] for host in backwards]  # or this file would name them
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8").lower()
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {host}" for host in hosts if host in text]
    assert found == []


def test_every_list_type_that_statements_use_is_learned_when_a_connection_opens() -> None:
    """Else asyncpg looks it up in the middle of a transaction that holds locks (`database.LISTS`)."""
    used = {
        cast
        for path in PYTHON
        if name(path).startswith(("services/", "shared/"))
        for cast in re.findall(r"::(\w+\[\])", path.read_text(encoding="utf-8"))
    }
    assert used <= set(re.findall(r"::(\w+\[\])", LISTS))
