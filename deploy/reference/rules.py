"""The table of docs/rules.md: its sentences are written by hand, its last column says which files cite the rule."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "rules.md"
CODE = re.compile(r"\b[RD]-\d+\b")
ROW = re.compile(r"^\| ([RD]-\d+) \| ([^|\n]*[^|\s]) \|[^|\n]*\|$", re.MULTILINE)
FOLDERS = ("services", "shared", "deploy")
FILES_MAX = 4
NOT_IN_CODE = "tests or documentation only"


def page() -> str:
    """docs/rules.md as it has to be now."""
    return with_places(RULES.read_text(encoding="utf-8"), cited(*FOLDERS))


def with_places(text: str, places: Mapping[str, Sequence[str]]) -> str:
    """The same sentences; the last column made anew from the files that cite each code."""
    return ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {_shown(places.get(row[1], ()))} |", text)


@cache
def cited(*folders: str) -> dict[str, list[str]]:
    """By code, the files under git in these folders that cite it. docs/rules.md itself does not count."""
    listed = subprocess.run(["git", "ls-files", "--", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = defaultdict(list)
    for name in listed.stdout.splitlines():
        for code in sorted(set(CODE.findall(_text(ROOT / name)))):
            found[code].append(name)
    return dict(found)


def _text(path: Path) -> str:
    """Nothing of what is no text, is gone, or is the table itself."""
    if path == RULES or not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _shown(files: Sequence[str]) -> str:
    if not files:
        return NOT_IN_CODE
    names = ", ".join(f"`{name}`" for name in files[:FILES_MAX])
    return names if len(files) <= FILES_MAX else f"{names} and {len(files) - FILES_MAX} more"
