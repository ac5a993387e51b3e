"""One example from words to differences."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.databases import Databases
from tests.worked.compare import differences
from tests.worked.language import NotOfferedError, UnknownWordError, check_words
from tests.worked.played import Played
from tests.worked.player import Player


@dataclass
class Verdict:
    example: dict[str, Any]
    played: Played
    differences: list[str]

    @property
    def passed(self) -> bool:
        return not self.differences


def read(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    examples: list[dict[str, Any]] = content["examples"] if isinstance(content, dict) else content
    return examples


async def run(example: dict[str, Any], databases: Databases, folder: Path) -> Verdict:
    played = Played()
    try:
        check_words(example)
        if example["events"]:
            played = await Player(example).play(databases, folder)
        return Verdict(example, played, differences(example, played))
    except UnknownWordError as unknown:
        return Verdict(example, played, [f"unknown word: {unknown}"])
    except NotOfferedError as missing:
        return Verdict(example, played, [str(missing)])
