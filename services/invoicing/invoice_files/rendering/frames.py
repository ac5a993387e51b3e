"""A finished file, and how faces and files travel between the service and its rendering process: as data, which can do nothing.

A frame is its length, the length of a JSON text, the text, and the bytes of the files it names. What comes back is looked at before it is
believed: the drawing process reads what customers wrote.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from services.invoicing.invoice_files.face import FaceLine, FaceParty, InvoiceFace

HEADER_BYTES = 8
FRAME_MAX = 256 * 2**20
FILE = {"name": str, "media_type": str, "size": int, "missing": str}


@dataclass(frozen=True)
class RenderedFile:
    """One file. `missing` holds, in order, the characters that could not be shown in it; they are 〓 there."""

    name: str
    media_type: str
    content: bytes
    sha256: str
    missing: str = ""


def length_of(header: bytes) -> int:
    length = int.from_bytes(header, "big")
    if length > FRAME_MAX:
        raise ValueError(f"a frame of {length} bytes: the two ends of the pipe are out of step")
    return length


def frame_of_face(face: InvoiceFace) -> bytes:
    return _frame(asdict(face))


def face_of(body: bytes) -> InvoiceFace:
    face, _ = _opened(body)
    for name in ("seller", "buyer"):
        face[name] = FaceParty(**face[name])
    for name in ("issued_at", "requested_at"):
        face[name] = None if face[name] is None else datetime.fromisoformat(face[name])
    face["lines"] = tuple(FaceLine(**line | {one: _decimal(line[one]) for one in EXACT}) for line in face["lines"])
    return InvoiceFace(**face)


def frame_of_files(files: Sequence[RenderedFile]) -> bytes:
    told = [{name: len(one.content) if name == "size" else getattr(one, name) for name in FILE} for one in files]
    return _frame({"files": told}, b"".join(one.content for one in files))


def files_of(body: bytes) -> list[RenderedFile]:
    """ValueError for whatever is no list of files."""
    told, content = _opened(body)
    files = []
    for one in _checked(told.get("files")):
        mine, content = content[: one["size"]], content[one["size"] :]
        if len(mine) != one["size"]:
            raise ValueError("a file is shorter than it says")
        files.append(RenderedFile(one["name"], one["media_type"], mine, sha256(mine).hexdigest(), one["missing"]))
    if content:
        raise ValueError("bytes that belong to no file")
    return files


EXACT = ("quantity", "unit_price")


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _checked(told: object) -> list[dict[str, Any]]:
    if not isinstance(told, list):
        raise ValueError("no list of files")
    for one in told:
        if not isinstance(one, dict) or {name: type(value) for name, value in one.items()} != FILE or one["size"] < 0:
            raise ValueError("this is no file")
    return told


def _frame(told: dict[str, Any], content: bytes = b"") -> bytes:
    text = json.dumps(told, default=_as_text).encode()
    length = HEADER_BYTES + len(text) + len(content)
    return b"".join((length.to_bytes(HEADER_BYTES, "big"), len(text).to_bytes(HEADER_BYTES, "big"), text, content))


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _opened(body: bytes) -> tuple[dict[str, Any], bytes]:
    end = HEADER_BYTES + int.from_bytes(body[:HEADER_BYTES], "big")
    if not HEADER_BYTES <= end <= len(body):
        raise ValueError("the text is longer than its frame")
    try:
        told = json.loads(body[HEADER_BYTES:end])
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None
    if not isinstance(told, dict):
        raise ValueError("the text is no object")
    return told, body[end:]
