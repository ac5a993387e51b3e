"""The small doors beside `make run`: status, stop, clean-data, and what set-up asks."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local import folders, notes
from deploy.local.kafka import cluster, jars
from deploy.local.process import CannotStartError, end, reap_leftovers
from deploy.local.stack import say
from deploy.local.web import answers_ok

# Services get 25 s, Kafka and PostgreSQL 10 s each; then the supervisor itself has hung.
STOP_SECONDS = 60.0
SHOWN = ("gateway", "kafka", "database", "tax_platform", "sms", "smtp", "documents")


def status() -> int:
    """Addresses and processes; 1 when nothing is running."""
    known = notes.read_endpoints()
    if not notes.is_up():
        say("nothing is running: type make run")
        return 1
    if not known:
        say("the stack is still starting: logs in var/log")
        return 0
    for name in SHOWN:
        say(f"{name:14} {_without_password(str(known[name]))}")
    ready: dict[str, str] = known["ready"]
    for name, pid in known["pids"].items():
        say(f"{name:14} pid {pid:<8} {_state(pid, ready.get(name))}")
    return 0


def _state(pid: int, ready_url: str | None) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "ended"
    except PermissionError:
        return "running"
    if ready_url is None:
        return "running"
    return "ready" if asyncio.run(answers_ok(ready_url)) else "not ready"


def _without_password(address: str) -> str:
    before, at, after = address.rpartition("@")
    return f"{before.rpartition(':')[0]}:...@{after}" if at and before.count(":") > 1 else address


def stop(environ: Mapping[str, str]) -> int:
    say("stopped" if _end_all(environ) else "nothing is running")
    return 0


def _end_all(environ: Mapping[str, str]) -> bool:
    """Ends the running stack, and whatever a killed one left behind; true when there was something."""
    running = notes.supervisor()
    if running is not None:
        pid, argv = running
        if not end(pid, argv, signal.SIGTERM, STOP_SECONDS):
            message = f"the supervisor, process {pid}, does not end: type kill -9 {pid} and make stop again"
            raise CannotStartError(message)
    left = [name for state in _states(environ) for name in reap_leftovers(state / "running")]
    if not notes.is_up():
        notes.clear()
    return bool(running or left)


def clean_data(environ: Mapping[str, str]) -> int:
    """Removes this checkout's data; another checkout's stays."""
    if notes.is_up():
        message = "the stack is running: type make stop first"
        raise CannotStartError(message)
    _end_all(environ)
    removed = [folder for folder in _states(environ) if folder.exists()]
    for folder in (*removed, folders.LOGS):
        shutil.rmtree(folder, ignore_errors=folder == folders.LOGS)
    notes.DEMO.unlink(missing_ok=True)
    say(f"removed {', '.join(str(folder) for folder in removed) or 'nothing'}")
    return 0


def _states(environ: Mapping[str, str]) -> list[Path]:
    state = folders.state_folder(environ)
    return [state, *(state.parent.glob(f"{state.name}-*-nodes")), *state.parent.glob(f"{state.name}-secure")]


def missing(environ: Mapping[str, str]) -> int:
    """Prints the Debian packages Kafka still needs, for set-up to install or to name."""
    needed = []
    if not jars.has_java(environ):
        needed.append("openjdk-17-jre-headless")
    if not os.access(jars.folder_of(environ), os.F_OK) and shutil.which("mvn", path=environ.get("PATH", "")) is None:
        needed.append("maven")
    say(" ".join(needed))
    return 0


def fetch(environ: Mapping[str, str]) -> int:
    """Kafka's jars, and compiled modules of the services meanwhile: both are needed before anything can start."""
    warm = {**environ, "PYTHONDONTWRITEBYTECODE": ""}
    compiling = subprocess.Popen(
        [sys.executable, "-c", "import shared.runtime.main"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=warm,
    )
    try:
        say("first-time set-up: Kafka")
        cluster.programs(environ)
    finally:
        compiling.wait()
    return 0
