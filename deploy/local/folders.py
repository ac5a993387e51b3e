"""Where the local stack keeps things: one state folder per checkout, one cache for all checkouts of an account."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from deploy.local.process import CannotStartError

CHECKOUT = Path(__file__).resolve().parents[2]
VAR = CHECKOUT / "var"
LOGS = VAR / "log"
MEMORY = Path("/dev/shm")  # noqa: S108 - used through mkdtemp only
SCRATCH_PREFIX = "kaipiao-test-"
# A folder younger than this may belong to somebody who has not locked it yet.
SCRATCH_YOUNG_SECONDS = 60.0


def is_root() -> bool:
    return os.geteuid() == 0


def instance(checkout: Path = CHECKOUT) -> str:
    """Two checkouts never meet: the name holds a hash of the path."""
    return f"{checkout.name}-{hashlib.sha256(str(checkout).encode()).hexdigest()[:10]}"


def state_folder(environ: Mapping[str, str], checkout: Path = CHECKOUT) -> Path:
    """Data, secrets and notes of this checkout's stack. Root's lie outside the checkout and outside root's home,
    because PostgreSQL runs under another account and must reach them."""
    if is_root():
        return _roots_home() / instance(checkout)
    home = environ.get("XDG_STATE_HOME") or str(_home(environ) / ".local" / "state")
    return Path(home) / "kaipiao" / instance(checkout)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Downloaded programs, shared by all checkouts."""
    home = environ.get("XDG_CACHE_HOME") or str(_home(environ) / ".cache")
    return Path(home) / "kaipiao"


def shared_programs() -> Path:
    """Root's programs that another account has to read."""
    return _roots_home() / "programs"


def _roots_home() -> Path:
    """Some containers have a read-only /var/lib."""
    return Path("/var/lib/kaipiao" if os.access("/var/lib", os.W_OK) else "/var/tmp/kaipiao")  # noqa: S108  kept over reboots


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path("~").expanduser())


def make(folder: Path, mode: int = 0o755) -> Path:
    """Creates a folder, or says in one line why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(mode)
    except OSError as error:
        if folder.is_relative_to(CHECKOUT):
            cure = "type it in a checkout you own"
        else:
            cure = "set XDG_STATE_HOME and XDG_CACHE_HOME to folders you own and type it again"
        message = f"cannot write {folder} ({error.strerror}): {cure}"
        raise CannotStartError(message) from error
    return folder


def lock(path: Path) -> IO[str] | None:
    """Holds a lock file for as long as the answer stays open; nothing when somebody else holds it."""
    make(path.parent)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def scratch(parent: Path | None = None) -> tuple[Path, IO[str]]:
    """A temporary folder for servers of a test session, locked while the session lives. Folders of sessions
    that were killed are removed on the way."""
    parent = parent or Path(tempfile.gettempdir())
    for old in parent.glob(f"{SCRATCH_PREFIX}*"):
        _remove_if_abandoned(old)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    folder.chmod(0o755)
    held = lock(folder / "lock")
    assert held is not None, "a fresh folder has no other owner"
    return folder, held


def in_memory(free_bytes_min: int) -> Path | None:
    """Where files never reach a disk, if this machine has such a place and that much room in it."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    return MEMORY if found.f_bavail * found.f_frsize >= free_bytes_min else None


def _remove_if_abandoned(folder: Path) -> None:
    try:
        young = time.time() - folder.stat().st_mtime < SCRATCH_YOUNG_SECONDS
        if young or folder.stat().st_uid != os.geteuid():
            return
        held = lock(folder / "lock")
    except OSError:
        return
    if held is not None:
        shutil.rmtree(folder, ignore_errors=True)
        held.close()
