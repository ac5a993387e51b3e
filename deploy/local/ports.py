"""Loopback ports: the preferred one, the next free one when it is taken, an error when it was demanded."""

import secrets
import socket
import sys
from typing import Self

from deploy.local.process import CannotStartError

LOOPBACK = "127.0.0.1"
TRIES = 200
QUIET_FROM = 20_000
QUIET_COUNT = 10_000


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now; sockets of ended connections do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Ports:
    """The ports of one run. Each is marked as ours machine-wide until `close`, because the program that will listen
    there takes a moment to start and another checkout may be choosing too."""

    def __init__(self) -> None:
        self.marks: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for mark in self.marks:
            mark.close()
        self.marks.clear()

    def prefer(self, port: int) -> int:
        """This port, or the next free one."""
        for candidate in range(port, port + TRIES):
            if is_free(candidate) and self._marked(candidate):
                return candidate
        message = f"no free port between {port} and {port + TRIES}: end what listens there (ss -ltnp) and type it again"
        raise CannotStartError(message)

    def any_free(self, count: int) -> list[int]:
        """Ports nobody prefers, below those the kernel hands to outgoing connections."""
        return [self.prefer(QUIET_FROM + secrets.randbelow(QUIET_COUNT)) for _ in range(count)]

    def demand(self, port: int, setting: str) -> int:
        """This port or nothing."""
        if not is_free(port) or not self._marked(port):
            message = (
                f"port {port} is taken: choose another with {setting}=..., or leave {setting} out to get a free one"
            )
            raise CannotStartError(message)
        return port

    def _marked(self, port: int) -> bool:
        """A name in Linux's abstract namespace: nobody else can take it, and it goes with its process."""
        if sys.platform != "linux":
            return True
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0kaipiao-port-{port}")
        except OSError:
            mark.close()
            return False
        self.marks.append(mark)
        return True
