"""What is documented from code is up to date, and no published message was ever changed in a breaking way."""

import json
import subprocess
from typing import Any

import pytest

from deploy.reference import asyncapi
from deploy.reference.contracts import MESSAGES, breaks, schema
from deploy.reference.files import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_file_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "type .venv/bin/python -m deploy.reference"


@pytest.mark.parametrize("name", MESSAGES)
def test_every_published_version_can_still_be_read(name: str) -> None:
    path = f"docs/contracts/{name}.json"
    listed = subprocess.run(
        ["git", "log", "--format=%H", "--", path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for commit in listed.stdout.split():
        shown = subprocess.run(
            ["git", "show", f"{commit}:{path}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            assert breaks(json.loads(shown.stdout), schema(MESSAGES[name])) == [], f"make {name}V2 instead"


def test_a_breaking_change_is_noticed() -> None:
    old: dict[str, Any] = {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}
    new = {"properties": {"a": {"type": "string"}, "c": {"type": "string"}}, "required": ["a", "c"]}
    assert breaks(old, new) == ["a: type changed", "b is gone", "c is required now"]
    assert breaks(old, old | {"properties": {**old["properties"], "d": {}}}) == []


def test_every_topic_is_a_channel() -> None:
    document = asyncapi.document()
    assert document["asyncapi"] == "3.0.0"
    assert {"billing.events", "ledger.commands", "invoicing.events"} <= document["channels"].keys()
