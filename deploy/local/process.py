"""Child processes of the local stack: each leads its own process group, dies with its parent, and leaves a note
(pid and command line) by which the next start finds whatever a killed run left behind."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02
KILL_GRACE_SECONDS = 10.0


class CannotStartError(Exception):
    """Something outside is missing; its text is the one line that says what to type."""


@dataclass(frozen=True)
class Command:
    """One program of the stack and how it wants to be ended."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    # Where its output goes; None leaves it on our terminal.
    log: Path | None
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when we are gone: nobody is left to wait for a polite end.
    orphan_signal: signal.Signals = signal.SIGKILL
    # Another account to run as (uid, gid); only root can ask for it.
    account: tuple[int, int] | None = None


@dataclass
class Child:
    """A started command. Reading `alive` also reaps it."""

    command: Command
    popen: subprocess.Popen[bytes]
    note: Path | None = None
    started_at: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    @property
    def exit_status(self) -> int | None:
        return self.popen.poll()

    def ask_to_stop(self) -> None:
        self.send(self.command.stop_signal)

    def send(self, sig: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self.popen.send_signal(sig)

    def kill(self) -> None:
        """Ends it and everything below it at once. PostgreSQL's children lead groups of their own and would hold the
        shared memory for a moment longer."""
        children = children_of(self.pid) if self.alive else []
        for end_one, pid in ((os.killpg, self.pid), *((os.kill, child) for child in children)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end_one(pid, signal.SIGKILL)
        self.popen.wait(timeout=KILL_GRACE_SECONDS)
        wait_until(lambda: not any(argv_of(child) for child in children), KILL_GRACE_SECONDS)
        self.forget()

    def stop(self, grace_seconds: float = KILL_GRACE_SECONDS) -> None:
        self.ask_to_stop()
        wait_until(lambda: not self.alive, grace_seconds)
        self.kill()

    def forget(self) -> None:
        if self.note is not None:
            self.note.unlink(missing_ok=True)


def start(command: Command, notes: Path | None = None) -> Child:
    """Starts a command. Call it from a thread that lives as long as the child should: the parent-death signal
    follows the thread, not the process."""
    uid, gid = command.account or (None, None)
    with _output_of(command) as output:
        try:
            popen = subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(command.env),
                cwd=command.cwd,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                start_new_session=True,
                # What a program keeps is for its own account only.
                umask=0o077,
                # One system call in the child; it takes no lock that a thread of ours could hold.
                preexec_fn=_die_with(os.getpid(), command.orphan_signal),  # noqa: PLW1509
            )
        except subprocess.SubprocessError as error:
            message = f"cannot start {command.name}: {error}; look at {command.log}"
            raise CannotStartError(message) from error
    note = None
    if notes is not None:
        note = notes / f"{command.name}.json"
        record = {"pid": popen.pid, "argv": list(command.argv), "stop_signal": int(command.stop_signal)}
        note.write_text(json.dumps(record))
    return Child(command, popen, note)


def _output_of(command: Command) -> AbstractContextManager[IO[bytes] | None]:
    if command.log is None:
        return contextlib.nullcontext()
    command.log.parent.mkdir(parents=True, exist_ok=True)
    return command.log.open("ab")


def _die_with(parent: int, sig: signal.Signals) -> Callable[[], None] | None:
    libc = LIBC
    if libc is None:
        return None

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(sig))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_kernel


def argv_of(pid: int) -> list[str]:
    """The command line of a process, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return []
    except (ProcessLookupError, PermissionError):
        return []
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.split()


def children_of(pid: int) -> list[int]:
    """The direct children of a process, as far as the system tells."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_running(pid: int, argv: Sequence[str]) -> bool:
    return " ".join(argv_of(pid)) == " ".join(argv)


def reap_leftovers(notes: Path) -> list[str]:
    """Ends what an earlier run left behind: only a process with the noted pid AND the noted command line."""
    left = []
    for note in sorted(notes.glob("*.json")):
        record = json.loads(note.read_text() or '{"pid": 0, "argv": [""], "stop_signal": 15}')
        pid, argv = int(record["pid"]), list(record["argv"])
        if pid > 0 and is_running(pid, argv):
            left.append(note.stem)
            end(pid, argv, signal.Signals(record["stop_signal"]))
        note.unlink(missing_ok=True)
    return left


def end(pid: int, argv: Sequence[str], stop_signal: signal.Signals, grace_seconds: float = KILL_GRACE_SECONDS) -> bool:
    """Ends a process that is not our child; true when it is gone."""
    for sig in (stop_signal, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
        if wait_until(lambda: not is_running(pid, argv), grace_seconds):
            return True
    return False


def wait_until(condition: Callable[[], bool], limit_seconds: float) -> bool:
    """Polls a condition, true as soon as it holds."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def failed(what: str, log: Path | None) -> CannotStartError:
    """The one line about a program that failed: its own last words, and what to do."""
    words = last_words(log)
    if "No space left on device" in words:
        return CannotStartError(f"{what}: the disk is full: free some space (df -h) and type it again")
    where = "" if log is None else os.path.relpath(log)
    return CannotStartError(f"{what} ({words}): look at {where}")


def last_words(log: Path | None) -> str:
    """The most telling of a log's last lines, for the one line we print about a failure."""
    if log is None or not log.exists():
        return "no log"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-60:] if line.strip()]
    telling = [
        line for line in lines if any(word in line for word in ("FATAL", "ERROR", "Error", "error:", "Exception"))
    ]
    return (telling or lines or ["the log is empty"])[-1][:300]
