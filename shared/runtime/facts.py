"""One log line for each settled fact that an operator looks for, so that no service logs. The relay tells of messages the broker has
confirmed, the pipeline of records it parked, the workers of rows that failed. A line has ids and codes, never what somebody wrote.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from shared.runtime import envelope, tracing
from shared.runtime.envelope import Envelope
from shared.runtime.transport import Outgoing, Record

FACTS: Mapping[str, str] = {
    "InvoiceRequested": "info",
    "RequestRefused": "warning",
    "ReservationRefused": "warning",
    "ReservationImpaired": "warning",
    "InvoiceIssued": "info",
    "InvoiceFailed": "error",
    "InvoiceVoided": "info",
    "PartWaitsForQuota": "warning",
    "CreditNoteRequested": "info",
    "RedFormWaits": "warning",
    "CreditNoteFailed": "error",
    "InvoiceCredited": "info",
    "InvoiceFilesStored": "info",
    "RequestClosed": "info",
    "RefundUnmatched": "warning",
    "DeficitOpened": "warning",
    "DeficitClosed": "info",
    "NoticeSent": "info",
    "NoticeFailed": "error",
    "AccountStatusChanged": "info",
    "AccountErasureStarted": "warning",
    "AccountAtRest": "info",
    "AccountErased": "warning",
    "RecordParked": "warning",
}
"""Which messages are facts an operator looks for, and how loud each one is."""

IDS = (
    *("account_id", "request_id", "reservation_id", "part_id", "credit_note_id", "notice_id", "item_id", "epoch"),
    *("gross_fen", "amount_fen", "needed_net_fen", "hours_left"),
)
CODES = ("serial", "step", "reason", "status", "kind", "channel", "subject", "legal_entity", "method", "month")
INVOICE_NUMBERS = ("number", "red_number")
SAID = (*IDS, *CODES, *INVOICE_NUMBERS)
"""What a line may say of a message or of a row that is worked on: numbers, codes of ours, and what a tax platform numbered, if it has the
form a platform gives it: elsewhere a number is what upstream wrote."""

_code = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_type = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_invoice_number = re.compile(r"[0-9]{20}")

log = structlog.get_logger()


def published(records: Sequence[Outgoing]) -> None:
    """The broker has them; after a lost confirmation the same fact may be told again."""
    for record in records:
        headers = dict(record.headers)
        kind = (headers.get("ce_type") or b"").decode()
        if (level := FACTS.get(kind)) is not None:
            trace = tracing.ids_of((headers.get(envelope.TRACE_HEADER) or b"").decode())
            getattr(log, level)(_event(kind), **ids_in(json.loads(record.value)), **trace)


def parked(consumer: str, record: Record, reason: str) -> None:
    where = {"topic": record.partition.topic, "partition": record.partition.number, "offset": record.offset}
    log.warning("record_parked", consumer=consumer, reason=reason, **where, **said_by(record))


def said_by(record: Record) -> dict[str, Any]:
    """What can be said aloud of a record that may be anything: its type, its account and its trace, where they are what they should be."""
    seen = envelope.read(record)
    if not isinstance(seen, Envelope):
        return {}
    said: dict[str, Any] = {"type": seen.type} if _type.fullmatch(seen.type) else {}
    return said | ids_in(_body(seen), ("account_id",)) | tracing.ids_of(seen.traceparent)


def ids_in(source: object, names: Sequence[str] = SAID) -> dict[str, int | str]:
    """Ids and codes of a message, or of a row that a worker holds and of what lies in it; a row that is only a number is its id."""
    if isinstance(source, int):
        return {"row": source}
    found: dict[str, object] = {}
    if dataclasses.is_dataclass(source):
        for field in dataclasses.fields(source):
            value = getattr(source, field.name)
            found |= ids_in(value, names) if dataclasses.is_dataclass(value) else {field.name: value}
    elif isinstance(source, Mapping):
        found = {str(name): value for name, value in source.items()}
    return {name: found[name] for name in names if _may_be_said(name, found.get(name))}  # type: ignore[misc]


def _may_be_said(name: str, value: object) -> bool:
    if name in IDS:
        return isinstance(value, int) and not isinstance(value, bool)
    form = _invoice_number if name in INVOICE_NUMBERS else _code
    return isinstance(value, str) and form.fullmatch(value) is not None


def _body(seen: Envelope) -> object:
    try:
        return json.loads(seen.body)
    except (ValueError, RecursionError):
        return None


def _event(kind: str) -> str:
    """`InvoiceIssued` is told as `invoice_issued`."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower()
