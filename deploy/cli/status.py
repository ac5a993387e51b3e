"""`kaipiao status`: whether each process is ready, every replica of it, and on what it waits."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import typer

from deploy.cli.routes import endpoints, exchange, kind_of

ANSWER_SECONDS = 10.0
ASKED_AT_ONCE = 16


def status() -> None:
    """Whether each process is ready, every replica of it, and on what it waits. Ends with status 1 if one is not."""
    known = endpoints()
    ready: dict[str, str] = known.get("ready") or {name: f"{url}/readyz" for name, url in known["operations"].items()}
    with ThreadPoolExecutor(ASKED_AT_ONCE) as asking:
        found = list(asking.map(_state, ready.values()))
    for name, (state, more) in zip(ready, found, strict=True):
        typer.echo(f"{name:<15} {state:<9} {more}")
    if any(state != "ready" for state, _ in found):
        raise typer.Exit(1)


def _state(url: str) -> tuple[str, str]:
    try:
        code, _, body = exchange(url, ANSWER_SECONDS)
    except (OSError, HTTPException) as error:
        return "away", f"{url}: {kind_of(error, ANSWER_SECONDS)}"
    return "ready" if code == 200 else "not ready", _checks(body)


def _checks(body: bytes) -> str:
    """What it waits for first, then the rest."""
    try:
        checks = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(checks, dict):
        return ""
    return ", ".join(f"{name} {_word(value)}" for name, value in sorted(checks.items(), key=lambda one: bool(one[1])))


def _word(value: object) -> str:
    return {True: "yes", False: "NO"}.get(value, str(value)) if isinstance(value, bool) else str(value)
