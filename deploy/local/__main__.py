"""`python -m deploy.local <door>`: what the Makefile calls. Every failure a person can mend is one line."""

import errno
import os
import sys
from collections.abc import Callable

from deploy.local import doors, folders, options, supervisor
from deploy.local.process import CannotStartError

INTERRUPTED = 130
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def run(more: list[str]) -> int:
    asked = options.read(folders.CHECKOUT)
    if more[:1] == [supervisor.DAEMON_FLAG]:
        return supervisor.run_as_daemon(asked, int(more[1]))
    return supervisor.run(asked)


DOORS: dict[str, Callable[[list[str]], int]] = {
    "run": run,
    "status": lambda _: doors.status(),
    "stop": lambda _: doors.stop(os.environ),
    "clean-data": lambda _: doors.clean_data(os.environ),
    "missing": lambda _: doors.missing(os.environ),
    "fetch": lambda _: doors.fetch(os.environ),
}


def main(argv: list[str]) -> int:
    try:
        return DOORS[argv[0]](argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED
    except CannotStartError as error:
        line = str(error)
    except OSError as error:
        line = _cure(error)
    sys.stderr.write(f"kaipiao: {' '.join(line.split())}\n")
    return 1


def _cure(error: OSError) -> str:
    place = error.filename or folders.CHECKOUT
    if error.errno == errno.ENOSPC:
        return f"the disk of {place} is full: free some space (df -h) and type it again"
    if error.errno in NOT_WRITABLE:
        return f"cannot write {place}: type it as the account that owns it, in a folder you own"
    raise error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
