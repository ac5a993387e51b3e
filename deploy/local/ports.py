"""Loopback ports: the preferred one, the next free one when it is taken, an error when it was demanded."""

import socket

from deploy.local.process import CannotStartError

LOOPBACK = "127.0.0.1"
TRIES = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now; sockets of ended connections do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(count: int) -> list[int]:
    """Ports the kernel picks. All are held together while asking, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((LOOPBACK, 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Ports:
    """Hands out the ports of one run, none twice."""

    def __init__(self) -> None:
        self.given: set[int] = set()

    def prefer(self, port: int) -> int:
        for candidate in range(port, port + TRIES):
            if candidate not in self.given and is_free(candidate):
                self.given.add(candidate)
                return candidate
        message = f"no free port between {port} and {port + TRIES}: end what listens there (ss -ltnp) and type it again"
        raise CannotStartError(message)

    def demand(self, port: int, setting: str) -> int:
        if port in self.given or not is_free(port):
            message = (
                f"port {port} is taken: choose another with {setting}=..., or leave {setting} out to get a free one"
            )
            raise CannotStartError(message)
        self.given.add(port)
        return port
