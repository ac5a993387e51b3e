"""One question in Kafka's own protocol: which brokers do you know? An open port alone does not mean ready, and a
client library would cost the supervisor more memory than all the rest of it."""

import socket
import ssl
import struct
from pathlib import Path

METADATA = 3
VERSION = 1
CLIENT = b"kaipiao-readiness"


def brokers(host: str, port: int, timeout_seconds: float = 2.0) -> list[int]:
    """The ids of the brokers that take part, empty while there is no answer or no controller."""
    # No topics are asked for: an empty list, not a missing one, which would mean all.
    body = struct.pack(f"!hhih{len(CLIENT)}si", METADATA, VERSION, 1, len(CLIENT), CLIENT, 0)
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as link:
            link.sendall(struct.pack("!i", len(body)) + body)
            (size,) = struct.unpack("!i", _exactly(link, 4))
            return _broker_ids(_exactly(link, size))
    except (OSError, struct.error):
        return []


def speaks_tls(host: str, port: int, ca: Path, timeout_seconds: float = 2.0) -> bool:
    """Whether somebody there shows a certificate of this authority; Kafka does so once it takes requests."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as link:
            context = ssl.create_default_context(cafile=ca)
            context.wrap_socket(link, server_hostname=host).close()
    except OSError:
        return False
    return True


def _exactly(link: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = link.recv(size - len(parts))
        if not part:
            raise ConnectionResetError
        parts += part
    return parts


def _broker_ids(answer: bytes) -> list[int]:
    (count,) = struct.unpack_from("!i", answer, 4)
    at, ids = 8, []
    for _ in range(count):
        (node_id,) = struct.unpack_from("!i", answer, at)
        at = _after_text(answer, _after_text(answer, at + 4) + 4)  # host, port, rack
        ids.append(node_id)
    (controller,) = struct.unpack_from("!i", answer, at)
    return sorted(ids) if controller >= 0 else []


def _after_text(answer: bytes, at: int) -> int:
    length = int(struct.unpack_from("!h", answer, at)[0])
    return at + 2 + max(length, 0)
