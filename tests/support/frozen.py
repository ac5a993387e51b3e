"""A process that hangs: its connections stay open and nobody answers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Begins when every thread has stopped: a signal is sent at once and obeyed thread by thread, 20 ms later on a busy machine, and
    a broker answers two requests in that time.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        while any(state(thread) != "T" for thread in Path(f"/proc/{pid}/task").iterdir()):
            os.sched_yield()
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state(thread: Path) -> str:
    """As proc(5) says: the field behind the name, which may hold anything."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]
