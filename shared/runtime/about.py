"""What a parked record says of itself, as far as anybody can tell: for whoever has to mend it, so that they need not open it.

Unlike `envelope.read` this takes what it can get from a broken record and leaves out the rest. It never raises.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.contracts.message import LARGEST_ID, moment_of
from shared.runtime.envelope import ATTRIBUTE_MAX, VALUE_MAX_BYTES
from shared.runtime.transport import Record, name_bytes

NUMBER = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
"""A document's number as contracts have it: anything else may be personal, and stays in the record."""

PRINTED = re.compile(r"[\x21-\x7e]+", re.ASCII)
PERSONAL = re.compile(r".*@.*|(\+?86)?1[3-9]\d{9}|\d{17}[\dXx]|0\d{2,3}-?\d{7,8}")
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class About:
    """`fingerprint`: the same for records that say the same under the same source and id; None where one of these is missing."""

    account_id: int | None = None
    number: str | None = None
    event_source: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    event_time: datetime | None = None
    fingerprint: bytes | None = None


def about(record: Record) -> About:
    try:
        return _about(record)
    except Exception:  # noqa: BLE001 - a record that is parked may be anything
        return About()


def _about(record: Record) -> About:
    headers = {name_bytes(name).lower(): (value or b"").decode(errors="replace") for name, value in record.headers}
    attributes: dict[str, Any] = {
        name.decode().removeprefix("ce_"): value
        for name, value in headers.items()
        if name.startswith(b"ce_") and name.isascii()
    }
    data: object = _json(record.value)
    if "id" not in attributes and isinstance(data, dict) and "specversion" in data:
        attributes, data = data, data.get("data")
    data = data if isinstance(data, dict) else {}
    source, event_id, kind = (_text(attributes.get(name)) for name in ("source", "id", "type"))
    return About(
        account_id=_account(data.get("account_id")) or _account_of_key(record.key),
        number=number if isinstance(number := data.get("number"), str) and NUMBER.fullmatch(number) else None,
        event_source=source,
        event_id=event_id,
        event_type=kind,
        event_time=_time(attributes.get("time")),
        fingerprint=_fingerprint(record, attributes) if source and event_id else None,
    )


def sayable(value: object, longest: int = 64) -> str | None:
    """A name or a number; what looks like a mailbox, a phone or an identity number is hidden, what is no text left out."""
    if not isinstance(value, str) or not value:
        return None
    return value if len(value) <= longest and PRINTED.fullmatch(value) and not PERSONAL.fullmatch(value) else HIDDEN


def _json(value: bytes | None) -> object:
    if value is None or len(value) > VALUE_MAX_BYTES:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def plain(text: str) -> str:
    """What any database can hold and any screen can show."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _text(value: object) -> str | None:
    return plain(value[:ATTRIBUTE_MAX]) if isinstance(value, str) and value else None


def _account(value: object) -> int | None:
    """A text is no account, whatever its digits are: it may be a phone."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_ID else None


def _account_of_key(key: bytes | None) -> int | None:
    return _account(int(key)) if key is not None and key.isdigit() and len(key) <= len(str(LARGEST_ID)) else None


def _time(value: object) -> datetime | None:
    try:
        return moment_of(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _fingerprint(record: Record, attributes: Mapping[str, Any]) -> bytes:
    parts = [str(attributes.get(name)).encode(errors="surrogatepass") for name in ("source", "id", "type")]
    digest = hashlib.blake2b(digest_size=16)
    for part in (*parts, record.value or b""):
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()
