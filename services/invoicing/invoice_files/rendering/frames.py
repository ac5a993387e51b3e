"""A finished file, and how faces and files travel between the service and its rendering process."""

import pickle
from dataclasses import dataclass

HEADER_BYTES = 8
FRAME_MAX = 256 * 2**20


@dataclass(frozen=True)
class RenderedFile:
    """One file. `missing` holds, in order, the characters that could not be shown in it; they are 〓 there."""

    name: str
    media_type: str
    content: bytes
    sha256: str
    missing: str = ""


def frame(value: object) -> bytes:
    """Length, then the value. Pickle, because both ends are this code and nobody else can write to the pipe."""
    body = pickle.dumps(value)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def length_of(header: bytes) -> int:
    length = int.from_bytes(header, "big")
    if length > FRAME_MAX:
        raise ValueError(f"a frame of {length} bytes: the two ends of the pipe are out of step")
    return length


def value_of(body: bytes) -> object:
    return pickle.loads(body)  # noqa: S301 - written by `frame` at the other end of our own pipe
