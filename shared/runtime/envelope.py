"""CloudEvents 1.0: attributes in `ce_*` headers with the JSON body beside them (binary mode) going out; that, or everything in one
JSON document (structured mode), coming in. Reading never raises: what cannot be read says why.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.message import Message, moment_of
from shared.contracts.topics import TOPICS
from shared.runtime.transport import Outgoing, Record

ATTRIBUTE_MAX = 1024
KEY_MAX = 64
"""Longer ids and sources are kept as a hash: an index takes no longer ones."""
VALUE_MAX_BYTES = 1_000_000
TRACE_HEADER = "traceparent"
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""No attribute of a CloudEvent may have control characters or half a surrogate pair."""
JSON_KINDS = frozenset({"", "application/json", "text/json", "application/cloudevents+json"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a record says about itself. `source` and `id` together are the key under which it counts once."""

    id: str
    source: str
    type: str
    traceparent: str | None
    body: bytes
    meaning: bytes = b""
    """The digest of what it says (`meaning_of`), once that is known."""

    @property
    def digest(self) -> bytes:
        """Of the very bytes, as versions before kept it."""
        return hashlib.blake2b(self.type.encode() + b"\0" + self.body, digest_size=16).digest()

    @property
    def key(self) -> tuple[str, str]:
        return _short(self.source), _short(self.id)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a record has no effect. `text` never quotes the record: it may hold personal data."""

    reason: str
    text: str
    redrive_from: datetime | None = None
    """Before this moment a redrive cannot help."""


def meaning_of(message: Message) -> bytes:
    """A digest of what a message says, however it was written: spacing, order, unknown fields and the notation of moments don't count."""
    said = message.model_dump_json(exclude_defaults=True).encode()
    return hashlib.blake2b(type(message).__name__.encode() + b"\0" + said, digest_size=16).digest()


def read(record: Record) -> Envelope | Unreadable:
    try:
        return _read(record)
    except RecursionError:
        return Unreadable("NOT_JSON", "the value is nested too deeply")
    except Exception as error:  # noqa: BLE001 - anything may come over a wire, and none of it may stop a partition
        return Unreadable(
            "UNREADABLE", f"reading it fails with {type(error).__name__}; publish the event again, correctly"
        )


def _read(record: Record) -> Envelope | Unreadable:
    if record.value is None:
        return Unreadable("NO_VALUE", "the record has no value; send the event's JSON")
    if len(record.value) > VALUE_MAX_BYTES:
        return Unreadable("TOO_LARGE", f"the value has {len(record.value)} bytes; at most {VALUE_MAX_BYTES} are read")
    headers: dict[str, str] = {}
    for name, value in record.headers:
        try:
            headers[name.lower()] = (value or b"").decode()
        except UnicodeDecodeError:
            continue  # a header that is not text can only hurt if we need it, and then it is reported as missing
    kind = headers.get("content-type", "")
    if kind != "application/json" and not _is_json(kind):
        return Unreadable(
            "NOT_JSON", "`content-type` must be application/json or application/cloudevents+json, in UTF-8"
        )
    if kind.lower().startswith("application/cloudevents") or "ce_id" not in headers:
        return _structured(record, headers)
    said = (headers["ce_id"], headers.get("ce_source", ""), headers.get("ce_type", ""))
    version, time = headers.get("ce_specversion", ""), headers.get("ce_time", "")
    return _checked(record, said, version, time, headers.get(TRACE_HEADER), record.value)


def _is_json(content_type: str) -> bool:
    kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
    charsets = {part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")}
    known = kind in JSON_KINDS or (kind.endswith("+json") and not kind.endswith("-batch+json"))
    return known and charsets <= {"utf-8", "utf8", "us-ascii"}


def _structured(record: Record, headers: Mapping[str, str]) -> Envelope | Unreadable:
    try:
        event = json.loads((record.value or b"").decode(), parse_constant=_no_constant)
    except ValueError:
        return Unreadable("NOT_JSON", "the value is neither a CloudEvent in JSON nor beside `ce_` headers")
    if not isinstance(event, dict) or "specversion" not in event:
        return Unreadable("NO_EVENT", "no `ce_id` header and no `specversion` in the value: not a CloudEvent")
    if not isinstance(event.get("data"), dict):
        return Unreadable("NO_DATA", "the CloudEvent has no JSON object in `data`")
    if not _is_json(str(event.get("datacontenttype") or "")):
        return Unreadable("NOT_JSON", "`datacontenttype` must be application/json")
    said = (_text(event, "id"), _text(event, "source"), _text(event, "type"))
    trace = _text(event, TRACE_HEADER) or headers.get(TRACE_HEADER)
    return _checked(record, said, _text(event, "specversion"), _text(event, "time"), trace, _json_of(event["data"]))


def _text(event: Mapping[str, object], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _json_of(data: object) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except (
        UnicodeEncodeError
    ):  # half a surrogate pair: kept as it was written, and whoever reads it says where it stands
        return json.dumps(data, separators=(",", ":")).encode()


def _checked(
    record: Record, said: tuple[str, str, str], version: str, time: str, traceparent: str | None, body: bytes
) -> Envelope | Unreadable:
    for name, value in zip(("id", "source", "type"), said, strict=True):
        if not 0 < len(value) <= ATTRIBUTE_MAX or not (value.isprintable() or UNWRITABLE.search(value) is None):
            text = f"attribute `{name}` must be text of 1 to {ATTRIBUTE_MAX} characters, without control characters"
            return Unreadable("BAD_ATTRIBUTE", text)
    event_id, source, kind = said
    owner = TOPICS[record.partition.topic].owner if record.partition.topic in TOPICS else "upstream"
    if owner != "upstream" and not _writes(owner, source):
        return Unreadable("WRONG_SOURCE", f"only {owner} writes to {record.partition.topic}")
    if version != "1.0":
        return Unreadable("BAD_ATTRIBUTE", "attribute `specversion` must be 1.0")
    try:
        moment_of(time)
    except ValueError as error:
        return Unreadable("BAD_ATTRIBUTE", f"attribute `time`: {error}")
    if traceparent is not None and not traceparent.isascii():
        traceparent = None
    return Envelope(event_id, source, kind, traceparent, body)


def _writes(owner: str, source: str) -> bool:
    return source.startswith(f"{ANY_OF_OURS}/") if owner == "kaipiao" else source == source_of(owner)


ANY_OF_OURS = "/kaipiao"


def source_of(service: str) -> str:
    return f"{ANY_OF_OURS}/{service}"


def _short(name: str) -> str:
    """Itself, or a hash that is longer than anything that stands for itself."""
    if len(name) <= KEY_MAX:
        return name
    return "blake2b:" + hashlib.blake2b(name.encode(), digest_size=32).hexdigest()


def write(message: Message, event_id: UUID, source: str, at: datetime, traceparent: str | None) -> Outgoing:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_type": type(message).__name__,
        "ce_source": source,
        "ce_time": at.isoformat(),
        "content-type": "application/json",
    } | ({TRACE_HEADER: traceparent} if traceparent else {})
    return Outgoing(
        topic=message.topic,
        key=str(message.account_id or 0).encode(),
        value=message.model_dump_json(exclude_none=True).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )
