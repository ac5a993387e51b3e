"""What a run of the demo leaves for the next one: it lies beside the data it belongs to, and `var/demo.json` is its copy for people.

With the same data the story is played once: who comes later finds it told, and gets the same accounts and keys.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

KEPT = "demo.json"


@dataclass
class Kept:
    """`accounts`: of each its API key. `whole` once the story has been played to its end."""

    run: int = 0
    accounts: list[dict[str, Any]] = field(default_factory=list)
    trace_id: str = ""
    whole: bool = False
    requests: list[tuple[int, int]] = field(default_factory=list)
    refusals: list[tuple[int, str, str]] = field(default_factory=list)
    credit_notes: list[tuple[int, int]] = field(default_factory=list)

    def key_of(self, account_id: int) -> str | None:
        return next((one["api_key"] for one in self.accounts if one["account_id"] == account_id), None)


def places() -> list[Path]:
    """Beside the data, where `make run` says where that is; and where people look."""
    folder = Path(os.environ.get("KAIPIAO_VAR", "var"))
    try:
        state = json.loads((folder / "endpoints.json").read_text(encoding="utf-8")).get("state", "")
    except (OSError, ValueError):
        state = ""
    beside = [Path(state) / KEPT] if state and Path(state).is_dir() else []
    return [*beside, folder / KEPT]


def read() -> Kept:
    """Of these data; nothing is what a run with other data has left in `var`."""
    try:
        content = json.loads(places()[0].read_text(encoding="utf-8"))
        known = {name: content[name] for name in Kept.__dataclass_fields__ if name in content}
        return Kept(**known)
    except (OSError, ValueError, TypeError):
        return Kept()


def write(kept: Kept) -> None:
    """Holds keys, so only its owner reads it."""
    for path in places():
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(kept), indent=2, ensure_ascii=False), encoding="utf-8")
