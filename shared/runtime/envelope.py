"""CloudEvents 1.0: attributes in `ce_*` headers with the JSON body beside them (binary mode) going out; that, or everything in one
JSON document (structured mode), coming in. Reading never raises: what cannot be read says why.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.runtime.transport import Outgoing, Record

ATTRIBUTE_MAX = 64
VALUE_MAX_BYTES = 1_000_000
TRACE_HEADER = "traceparent"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a record says about itself. `source` and `id` together are the key under which it counts once."""

    id: str
    source: str
    type: str
    traceparent: str | None
    body: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.type.encode() + b"\0" + self.body, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a record is no event. `text` never quotes the record: it may hold personal data."""

    reason: str
    text: str


def read(record: Record) -> Envelope | Unreadable:
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
    if headers.get("content-type", "").startswith("application/cloudevents+json") or "ce_id" not in headers:
        return _structured(record, headers)
    attributes = {name.removeprefix("ce_"): value for name, value in headers.items() if name.startswith("ce_")}
    return _checked(record, attributes, headers.get(TRACE_HEADER), record.value)


def _structured(record: Record, headers: Mapping[str, str]) -> Envelope | Unreadable:
    try:
        event = json.loads(record.value or b"")
    except ValueError:
        return Unreadable("NOT_JSON", "the value is neither a CloudEvent in JSON nor beside `ce_` headers")
    if not isinstance(event, dict) or "specversion" not in event:
        return Unreadable("NO_EVENT", "no `ce_id` header and no `specversion` in the value: not a CloudEvent")
    if not isinstance(event.get("data"), dict):
        return Unreadable("NO_DATA", "the CloudEvent has no JSON object in `data`")
    body = json.dumps(event["data"], ensure_ascii=False, separators=(",", ":")).encode()
    attributes = {name: value for name, value in event.items() if isinstance(value, str)}
    return _checked(record, attributes, attributes.get(TRACE_HEADER) or headers.get(TRACE_HEADER), body)


def _checked(
    record: Record, attributes: Mapping[str, str], traceparent: str | None, body: bytes
) -> Envelope | Unreadable:
    for name in ("id", "source", "type"):
        if not 0 < len(attributes.get(name, "")) <= ATTRIBUTE_MAX or "\0" in attributes[name]:
            return Unreadable("BAD_ATTRIBUTE", f"attribute `{name}` must be text of 1 to {ATTRIBUTE_MAX} characters")
    owner = TOPICS[record.partition.topic].owner if record.partition.topic in TOPICS else "upstream"
    if owner != "upstream" and attributes["source"] != source_of(owner):
        return Unreadable("WRONG_SOURCE", f"only {source_of(owner)} writes to {record.partition.topic}")
    return Envelope(attributes["id"], attributes["source"], attributes["type"], traceparent, body)


def source_of(service: str) -> str:
    return f"/kaipiao/{service}"


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
        key=str(message.account_id).encode(),
        value=message.model_dump_json(exclude_none=True).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )
