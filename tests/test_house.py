"""The house rules as a test: rooms and their order, what each kind of file may import, handlers that do not branch, stores that do not
decide, length of files, and where things may happen."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from shared.runtime.database import LISTS
from tests.support.pauses import PAUSES, pauses
from tests.support.source import (
    OF_SERVICES,
    PYTHON,
    ROOT,
    domain_names,
    files_of,
    functions,
    imports,
    is_in,
    name,
    outsiders,
    place_of,
    tracked,
    tree,
    used_of_the_domain,
)

ROOMS: dict[str, tuple[str, ...]] = {
    "title": ("accounts", "titles", "recipients", "relations", "registrations", "erasures"),
    "ledger": (
        *("journal", "netting", "selections", "reservations", "booking", "large_reservations", "intake"),
        *("queries", "balances", "explanation", "items"),
    ),
    "invoicing": (
        *("accounts", "idempotency", "tax_platforms", "quotas", "submissions", "requests", "invoice_files"),
        *("issuing", "credit_notes", "erasures"),
    ),
    "notification": ("recipients", "channels", "notices"),
    "gateway": ("callers", "owners", "v1"),
}
"""The rooms of each service from the ground up: a room uses those before it, never one after it."""
WITHOUT_ROOM = ("__init__", "__main__", "app")
LINES_MAX, RUNTIME_LINES_MAX, TEST_LINES_MAX = 300, 400, 400
HANDLER_STATEMENTS_MAX = 8
SUBJECT_LENGTH = 72
BEFORE_SUBJECTS_WERE_COUNTED = "932f47f0f722822beb0162168a30cb36cbc10fb0"
TOP_LEVEL = {
    *("services", "shared", "deploy", "tests", "docs", "requirements", ".ci"),
    *("docker-compose.yml", "Makefile", "README.md", "LICENSE", "pyproject.toml"),
    *(".gitignore", ".dockerignore", ".yamllint"),
}


# length


@pytest.mark.parametrize("path", [path for path in PYTHON if not name(path).startswith("tests/")], ids=name)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (RUNTIME_LINES_MAX if name(path).startswith("shared/runtime/") else LINES_MAX)
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first lines say what the room is for"


def test_tests_are_short() -> None:
    long = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in tracked("tests/*.py")}
    assert {path: lines for path, lines in long.items() if lines > TEST_LINES_MAX} == {}


# rooms


def test_every_file_of_a_service_is_in_a_room() -> None:
    rooms = {f"services/{service}/{room}" for service, named in ROOMS.items() for room in (*named, *WITHOUT_ROOM)}
    assert [
        path for path in map(name, OF_SERVICES) if "/".join(path.split("/")[:3]).removesuffix(".py") not in rooms
    ] == []
    empty = [
        f"{service}/{room}"
        for service, named in ROOMS.items()
        for room in named
        if not tracked(f"services/{service}/{room}/*.py")
    ]
    assert empty == []


def test_a_room_uses_the_rooms_below_it_and_none_above() -> None:
    upwards = []
    for path in OF_SERVICES:
        service, room = place_of(path)
        if room not in ROOMS[service]:
            continue
        below = ROOMS[service][: ROOMS[service].index(room) + 1]
        allowed = [f"services.{service}.{one}" for one in below]
        upwards += [f"{name(path)}: {m}" for m in imports(path) if is_in(m, "services") and not is_in(m, *allowed)]
    assert upwards == []


def test_no_service_imports_another_or_what_stands_beside_services() -> None:
    found = [
        f"{name(path)}: {m}"
        for path in OF_SERVICES
        for m in imports(path)
        if is_in(m, "deploy", "tests") or (is_in(m, "services") and not is_in(m, f"services.{place_of(path)[0]}"))
    ]
    assert found == []


PURE = ("shared.contracts", "shared.domain")
MAY_IMPORT = {
    "rules": PURE,
    "store": (*PURE, "asyncpg", "shared.runtime.leases"),
    "handlers": (*PURE, "asyncpg.Connection"),
    "effects": (*PURE, "shared.runtime.objects"),
    "api": (*PURE, "asyncpg", "fastapi", "pydantic", "shared.runtime"),
}
"""By the name of the file. Any other module of a room is as pure as rules, or it is named below."""
STORES = {
    *(
        "services/ledger/balances/changes.py",
        "services/ledger/intake/billing_documents.py",
        "services/ledger/journal/rebuild.py",
    ),
    *("services/ledger/large_reservations/promises.py", "services/invoicing/issuing/pages.py"),
}
LOADS = {
    *(
        "services/ledger/selections/search.py",
        "services/ledger/large_reservations/lookups.py",
        "services/ledger/intake/batches.py",
    ),
    *("services/invoicing/issuing/claims.py", "services/invoicing/credit_notes/claims.py"),
}
"""What is loaded here next depends on what a rule makes of what was loaded before; the statements themselves are in a store."""
PIECES_OF_SQL = {
    "services/ledger/journal/sums.py",
    "services/ledger/queries/filters.py",
    "services/ledger/queries/past.py",
}
"""Pure, and made to be called by stores."""
HTTP = {
    *("services/ledger/queries/asking.py", "services/ledger/queries/problems.py", "services/ledger/items/asking.py"),
    *("services/invoicing/accounts/problems.py", "services/gateway/owners/forwarding.py"),
}
OUTSIDE = ("adapters", "rendering")
"""Folders that speak the outside's protocols, or draw."""


def kind_of(path: Path) -> str:
    named = (("store", STORES), ("handlers", LOADS), ("api", HTTP))
    kind = next((kind for kind, files in named if name(path) in files), path.stem)
    return kind if kind in MAY_IMPORT else "rules"


IN_ROOMS = [
    path
    for path in OF_SERVICES
    if place_of(path)[1] not in WITHOUT_ROOM and path.stem != "__init__" and not {*path.parts} & {*OUTSIDE}
]


def test_each_kind_of_file_imports_only_what_it_may() -> None:
    above = {
        "rules": {"store", "handlers", "effects", "api"},
        "store": {"handlers", "effects", "api"},
        "handlers": {"effects", "api"},
    }
    found = []
    for path in IN_ROOMS:
        kind = kind_of(path)
        allowed = (*MAY_IMPORT[kind], "services", *(("httpx2",) if name(path) in HTTP else ()))
        found += [f"{name(path)}: {m}" for m in outsiders(path, *allowed)]
        for m in imports(path):
            parts = {*m.split(".")[3:]} if is_in(m, "services") else set()
            if parts & above.get(kind, set()) or (kind != "effects" and parts & {*OUTSIDE}):
                found.append(f"{name(path)}: {m}")
    assert found == []


# handlers and stores


def test_handlers_do_not_branch_and_are_short() -> None:
    """A `for` beside its statements is a branch in disguise: what concerns many rows is one set-based statement."""
    branching = (ast.If, ast.IfExp, ast.Match, ast.While, ast.Try, ast.For, ast.AsyncFor)
    hiding = (ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    found = []
    for path in files_of("handlers"):
        for function in functions(path):
            branches = [
                type(node).__name__
                for node in ast.walk(function)
                if isinstance(node, branching)
                or (isinstance(node, hiding) and any(isinstance(one, ast.Await) for one in ast.walk(node)))
            ]
            if branches or len(function.body) > HANDLER_STATEMENTS_MAX:
                found.append(f"{name(path)}: {function.name} has {branches or f'{len(function.body)} statements'}")
    assert found == []


def test_a_handler_dispatches_once_and_hands_no_none_through() -> None:
    """A store function that returns at once because an argument is None was called for nothing."""
    found = []
    for path in (*files_of("store"), *files_of("handlers")):
        for function in functions(path):
            given = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
            found += [
                f"{name(path)}:{node.lineno} {function.name}"
                for node in function.body
                if isinstance(node, ast.If) and isinstance(node.body[0], ast.Return) and _is_none(node.test, given)
            ]
    assert found == []


def _is_none(test: ast.expr, given: set[str]) -> bool:
    return any(
        isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and node.left.id in given
        and isinstance(node.ops[0], ast.Is)
        and ast.unparse(node.comparators[0]) == "None"
        for node in ast.walk(test)
    )


def test_no_rule_is_called_where_statements_are() -> None:
    """Stores make the values that rules define, and leave deciding to them. What a rule decides, a handler hands to the store."""
    pure = {name(path).removesuffix(".py").replace("/", ".") for path in IN_ROOMS if kind_of(path) == "rules"}
    pure -= {file.removesuffix(".py").replace("/", ".") for file in PIECES_OF_SQL}
    found = []
    for path in (path for path in IN_ROOMS if kind_of(path) == "store"):
        rules: set[str] = set()
        modules: set[str] = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module and is_in(node.module, "services"):
                shown = {alias.asname or alias.name: alias.name for alias in node.names}
                rules |= {one for one, original in shown.items() if node.module in pure and original.islower()}
                modules |= {one for one, original in shown.items() if f"{node.module}.{original}" in pure}
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                first, _, rest = ast.unparse(node.func).partition(".")
                if (first in rules and not rest) or (first in modules and rest.islower()):
                    found.append(f"{name(path)}:{node.lineno} {ast.unparse(node.func)}")
    assert found == []


@pytest.mark.parametrize("service", ROOMS)
def test_a_class_name_is_used_once_in_a_service(service: str) -> None:
    names = Counter(
        node.name
        for path in tracked(f"services/{service}/*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    )
    assert [one for one, count in names.items() if count > 1] == []


def test_nobody_above_the_runtime_catches_everything() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in OF_SERVICES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    ]
    assert found == []


def test_rules_read_no_clock_and_make_no_random() -> None:
    forbidden = {"time", "random", "secrets", "os", "uuid", "asyncio"}
    pure = [*(path for path in IN_ROOMS if kind_of(path) == "rules"), *tracked("shared/domain/*.py")]
    assert [f"{name(path)}: {m}" for path in pure for m in imports(path) if m.split(".")[0] in forbidden] == []
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in pure
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"datetime.now", "datetime.utcnow", "date.today", "datetime.today"}
    ]
    assert calls == []


# shared


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
    port = {f"shared/runtime/{file}.py" for file in ("kafka", "kafka_reader", "kafka_records")}
    assert knowing == {*port, "shared/runtime/security.py", "shared/runtime/shared_clock.py"}


def test_every_public_function_of_the_domain_has_a_caller_in_services() -> None:
    """Directly, or through another one that has. What waits for its feature is named, and no longer than it waits."""
    used = {one for path in OF_SERVICES for one in used_of_the_domain(path)}
    names = dict(domain_names())
    reached: set[str] = set()
    todo = [one for one in names if one in used]
    while todo:
        one = todo.pop()
        if one not in reached:
            reached.add(one)
            todo += [other for other in names[one] if other in names]
    public = {one for one in names if not one.split(".")[1].startswith("_")}
    assert public - reached == {*WAITING}


WAITING: dict[str, str] = {
    "calendar.YearUnknown": "title applications: the days a review may take",
    "calendar.is_business_day": "title applications",
    "calendar.after_business_days": "title applications",
    "calendar.auto_invoicing_due": "auto-invoicing",
    "price.unit_price": "quantities of goods on lines",
    "price.price_fits": "quantities of goods on lines",
}
"""Functions whose feature is not built yet, and which one that is. The list only shrinks."""


def test_every_list_type_that_statements_use_is_learned_when_a_connection_opens() -> None:
    """Else asyncpg looks it up in the middle of a transaction that holds locks (`database.LISTS`)."""
    used = {
        cast
        for path in PYTHON
        if name(path).startswith(("services/", "shared/"))
        for cast in re.findall(r"::(\w+\[\])", path.read_text(encoding="utf-8"))
    }
    assert used <= set(re.findall(r"::(\w+\[\])", LISTS))


NEWER_THAN_15 = re.compile(
    r"RETURNING\s+(?:WITH|old\.|new\.)|\bMERGE INTO\b|\bany_value\(|\bJSON_TABLE\b", re.IGNORECASE
)


def test_statements_keep_to_what_postgresql_15_has() -> None:
    found = [
        f"{name(path)}: {match.group()}"
        for path in tracked("services/*.py", "services/*.sql", "shared/*.py", "shared/*.sql", "deploy/*.py")
        for match in NEWER_THAN_15.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


# tests


def test_a_test_awaits_what_it_waits_for_and_does_not_sleep() -> None:
    assert {one for path in tracked("tests/*.py") for one in pauses(path)} == {*PAUSES}


# the repository


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


def test_subjects_of_commits_are_short() -> None:
    shown = subprocess.run(
        ["git", "log", "--no-merges", "--format=%s", f"{BEFORE_SUBJECTS_WERE_COUNTED}..HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [subject for subject in shown.stdout.splitlines() if len(subject) >= SUBJECT_LENGTH] == []
