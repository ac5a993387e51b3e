"""What a run tells the outside: var/endpoints.json for programs, and who is running for the next `make`."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from deploy.local import folders
from deploy.local.keys import write_private
from deploy.local.process import argv_of, is_running

ENDPOINTS = folders.VAR / "endpoints.json"
DEMO = folders.VAR / "demo.json"
LOCK = folders.VAR / "run.lock"
SUPERVISOR = folders.VAR / "supervisor.json"


def take_lock() -> IO[str] | None:
    """Nothing when another run of this checkout holds it."""
    return folders.lock(LOCK)


def is_up() -> bool:
    held = take_lock()
    if held is None:
        return True
    held.close()
    return False


def write_supervisor() -> None:
    write_private(SUPERVISOR, json.dumps({"pid": os.getpid(), "argv": argv_of(os.getpid())}))


def supervisor() -> tuple[int, list[str]] | None:
    """Pid and command line of the running supervisor."""
    noted = read(SUPERVISOR)
    if not noted or not is_running(int(noted["pid"]), list(noted["argv"])):
        return None
    return int(noted["pid"]), list(noted["argv"])


def write_endpoints(endpoints: dict[str, object]) -> None:
    """Holds passwords, so only its owner reads it."""
    write_private(ENDPOINTS, json.dumps(endpoints, indent=2))


def read_endpoints() -> dict[str, Any]:
    """Empty when nothing is running."""
    return read(ENDPOINTS)


def tell(text: str) -> None:
    """A line of the supervisor, with the time, for it may lie in a log for days."""
    sys.stdout.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {text}\n")
    sys.stdout.flush()


def clear() -> None:
    for path in (ENDPOINTS, SUPERVISOR):
        path.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content
