"""What the documents name exists: files, folders, doors of the Makefile, commands of `kaipiao`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from deploy.cli.app import app

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACES = ("services/", "shared/", "deploy/", "tests/", "docs/", "requirements/")
PATH = re.compile(r"`([\w./-]+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
DOOR = re.compile(r"(?:^|[\s`])make ([a-z][a-z-]+)")


def named(page: Path) -> Iterator[Path]:
    text = page.read_text(encoding="utf-8")
    yield from (ROOT / path for path in PATH.findall(text) if path.startswith(PLACES))
    yield from (page.parent / path for path in LINK.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert [str(path.relative_to(ROOT)) for path in named(page) if not path.exists()] == []


def test_every_door_that_a_page_names_is_in_the_makefile() -> None:
    doors = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    spoken = {
        door
        for page in PAGES
        for code in re.findall(r"`[^`]*`", page.read_text(encoding="utf-8"))
        for door in DOOR.findall(code)
    }
    assert spoken - doors == set()


def test_every_command_that_a_page_names_is_there() -> None:
    groups = getattr(get_command(app), "commands", {})
    known = {(group, command) for group, one in groups.items() for command in getattr(one, "commands", {"": None})}
    said = {
        (group, command)
        for page in PAGES
        for group, command in re.findall(
            r"(?:kaipiao|`)\s?(parked|ledger|clock|api-keys) ([a-z-]+)", page.read_text(encoding="utf-8")
        )
    }
    assert said - known == set()


def test_every_table_says_how_long_its_rows_stay() -> None:
    files = [*ROOT.glob("services/*/schema.sql"), *ROOT.glob("shared/runtime/schema*.sql")]
    statements = "".join(file.read_text(encoding="utf-8") for file in files)
    kept = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("\n## Keep\n")[2]
    rows = [line.split("|")[1] for line in kept.splitlines() if line.startswith("|")]
    said = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(said) == sorted(set(re.findall(r"CREATE TABLE (?:runtime\.)?(\w+)", statements)))
