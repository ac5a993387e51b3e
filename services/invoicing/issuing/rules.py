"""The life of a part: what the platform's answer makes of it. A timeout is never a failure; a document that exists is a fact.

The states and the moves between them are a table. What isn't in the table changes nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.invoicing.quotas.rules import LOOK_SECONDS
from services.invoicing.tax_platforms.port import (
    Accepted,
    Answer,
    CancelHeard,
    Cancelled,
    Duplicate,
    Failed,
    Issued,
    NotFound,
    Processing,
    Rejected,
)
from shared.contracts.invoicing import (
    InvoiceFailed,
    InvoiceIssued,
    InvoiceKind,
    InvoiceVoided,
    PartFact,
    RequestClosed,
    Share,
)
from shared.contracts.message import Message

QUEUED, WAITING_QUOTA, SUBMITTING, ISSUED, FAILED, VOIDED, QUARANTINED = (
    "queued",
    "waiting_quota",
    "submitting",
    "issued",
    "failed",
    "voided",
    "quarantined",
)
RESTING = frozenset({ISSUED, FAILED, VOIDED, QUARANTINED})

MAY_BE_ISSUED = (QUEUED, WAITING_QUOTA, SUBMITTING, FAILED, VOIDED)
"""Whatever we think: a document that exists is a fact."""

NEXT_STATUS: dict[tuple[str, str], str] = {
    (QUEUED, "claimed"): SUBMITTING,
    (QUEUED, "cancelled"): VOIDED,
    (QUEUED, "short"): WAITING_QUOTA,
    (WAITING_QUOTA, "cancelled"): VOIDED,
    (WAITING_QUOTA, "short"): WAITING_QUOTA,
    (WAITING_QUOTA, "fits"): QUEUED,
    (SUBMITTING, "short"): WAITING_QUOTA,
    (SUBMITTING, "claimed"): SUBMITTING,
    (SUBMITTING, "unsettled"): SUBMITTING,
    (SUBMITTING, "failed"): FAILED,
    (SUBMITTING, "cancelled"): VOIDED,
    **{(status, "issued"): ISSUED for status in MAY_BE_ISSUED},
    **{(status, "differs"): QUARANTINED for status in MAY_BE_ISSUED},
}

POLL_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""How long to wait before looking again at what the platform is working on; the last one repeats."""
UNKNOWN_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""How long to wait before asking again when no answer came, the first time, the second time in a row …; never given up by time."""
CANCELLED = "CANCELLED"
QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
"""Refused for now: the same serial may be submitted again when the quota is raised."""
REFUSED = "PLATFORM_REFUSED"
"""Stands for a code of the platform that is none of its own."""
PLAIN_CODE = re.compile(r"[A-Za-z0-9_./-]{1,64}")
TEXT_MAX = 400
PART_FACT = ("account_id", "request_id", "part_id", "reservation_id", "subject", "legal_entity", "content", "tax_percent", "kind",
    "gross_fen", "net_fen", "tax_fen", "shares")  # fmt: skip
"""What every fact about a part says of it."""
CALL_SECONDS = 30.0
LEASE_SECONDS = 2 * CALL_SECONDS


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a worker holds until its lease ends: a part, or a credit note of one. `step` was committed before the call it stands for.

    `claimed_at` is real time, for lease and pauses.
    """

    account_id: int
    part_id: int
    request_id: int
    reservation_id: int
    subject: str
    legal_entity: str
    content: str
    tax_percent: int
    kind: InvoiceKind
    gross_fen: int
    net_fen: int
    tax_fen: int
    shares: tuple[Share, ...]
    lines: tuple[dict[str, Any], ...]
    serial: str
    step: str
    tries: int
    unheard: int
    epoch: int
    claimed_at: datetime
    reason: str | None
    text: str | None
    traceparent: str | None
    cancel_reason: str | None = None
    """Why the request shall be cancelled, if somebody wishes so."""


@dataclass(frozen=True, kw_only=True)
class Claimed(Submission):
    """A part. `printed_at` is business time: names are printed as they are on that day."""

    printed_at: datetime
    title: dict[str, Any]
    remark: str
    wrapped_key: str | None


@dataclass(frozen=True)
class Change:
    """What an answer changes. A document is a fact, accepted in any state and epoch; all else only from the holder of the lease."""

    event: str
    next_step: str = "query"
    due_at: datetime | None = None
    number: str | None = None
    issued_at: datetime | None = None
    specimen: bool | None = None
    qr: str | None = None
    reason: str | None = None
    text: str | None = None
    cancel_heard: bool = False
    unheard: int = 0

    @property
    def fact(self) -> bool:
        return self.number is not None


def decide(part: Submission, answer: Answer) -> Change:
    """From the answer to a submission or a query to what becomes of it."""
    match answer:
        case Issued():
            return _issued(part, answer)
        case Failed(code=code, text=text):
            return _saying(Change("failed"), code, text)
        case NotFound() if part.cancel_reason is None and part.reason == QUOTA_EXCEEDED:
            return Change("short", next_step="submit", due_at=part.claimed_at + timedelta(seconds=LOOK_SECONDS))
        case NotFound() if part.reason not in (
            None,
            QUOTA_EXCEEDED,
        ):  # refused on submission, and the query confirms that nothing came of it
            return Change("failed", reason=part.reason, text=part.text)
        case NotFound() if part.cancel_reason is not None:  # never arrived, and shall not any more
            return Change("cancelled", reason=part.cancel_reason)
        case NotFound():
            return Change("unsettled", next_step="submit", due_at=part.claimed_at, unheard=part.unheard)
        case Cancelled():
            return Change("cancelled", reason=part.cancel_reason or CANCELLED)
        case CancelHeard():
            return Change("unsettled", due_at=part.claimed_at, reason=part.reason, text=part.text, cancel_heard=True)
        case Rejected(code=code, text=text):  # believed only when a query says so too
            return _saying(Change("unsettled", due_at=part.claimed_at), code, text)
        case Accepted() | Duplicate() | Processing():
            due_at = after_pause(part, POLL_SECONDS, part.tries)
            return Change("unsettled", due_at=due_at, reason=part.reason, text=part.text)
        case _:
            unheard = part.unheard + 1
            due_at = after_pause(part, UNKNOWN_SECONDS, unheard)
            return Change("unsettled", due_at=due_at, reason=part.reason, text=part.text, unheard=unheard)


def _issued(part: Submission, answer: Issued) -> Change:
    same = (answer.gross_fen, answer.net_fen, answer.tax_fen) == (part.gross_fen, part.net_fen, part.tax_fen)
    change = Change("issued", number=answer.number, issued_at=answer.issued_at, specimen=answer.specimen, qr=answer.qr)
    if same:
        return change
    text = f"the platform issued {answer.gross_fen} fen ({answer.net_fen} + {answer.tax_fen}), we asked for {part.gross_fen}"
    return replace(change, event="differs", reason="AMOUNT_DIFFERS", text=text)


def _saying(change: Change, code: str, text: str) -> Change:
    """The platform's words as a message and a row can hold them: a plain code, printable text of bounded length."""
    plain = PLAIN_CODE.fullmatch(code) is not None
    words = " ".join((text if plain else f"{code}: {text}").split())
    printable = "".join(filter(str.isprintable, words))[:TEXT_MAX]
    return replace(change, reason=code if plain else REFUSED, text=printable)


def after_pause(part: Submission, pauses: Sequence[float], times: int) -> datetime:
    return part.claimed_at + timedelta(seconds=pauses[min(times, len(pauses)) - 1])


def facts_of(part: Claimed, change: Change, status: str | None) -> list[PartFact]:
    """What the world is told when a part has come to rest."""
    common = {name: getattr(part, name) for name in PART_FACT}
    match status:
        case "issued":
            issue = {"serial": part.serial, "number": change.number, "issued_at": change.issued_at}
            return [InvoiceIssued.model_validate(common | issue | {"specimen": change.specimen})]
        case "failed":
            failure = {"serial": part.serial, "reason": change.reason, "text": change.text or ""}
            return [InvoiceFailed.model_validate(common | failure)]
        case "voided":
            return [InvoiceVoided.model_validate(common | {"reason": change.reason})]
        case _:
            return []


def voided(parts: Sequence[Claimed]) -> list[PartFact]:
    """What is told of parts that were cancelled while they were not with the platform."""
    return [fact for part in parts for fact in facts_of(part, Change("cancelled", reason=part.cancel_reason), VOIDED)]


@dataclass(frozen=True)
class Resting:
    """A part as its request sees it."""

    status: str
    number: str | None
    reason: str | None


@dataclass(frozen=True)
class Closing:
    """How a request ends."""

    account_id: int
    request_id: int
    status: str
    reason: str | None
    numbers: tuple[str, ...]

    def message(self) -> RequestClosed:
        return RequestClosed.model_validate(
            {
                "account_id": self.account_id,
                "request_id": self.request_id,
                "status": self.status,
                "numbers": self.numbers,
            }
        )


def closing(account_id: int, request_id: int, parts: Sequence[Resting]) -> Closing | None:
    """The end of a request once all its parts rest; None while one does not."""
    statuses = {part.status for part in parts}
    if not statuses or not statuses <= RESTING:
        return None
    documents = {ISSUED, QUARANTINED}
    if statuses & documents:
        status = "invoiced" if statuses <= documents else "partly_issued"
    else:
        status = FAILED if FAILED in statuses else VOIDED
    reason = next((part.reason for part in parts if part.reason is not None), None)
    return Closing(
        account_id, request_id, status, reason, tuple(part.number for part in parts if part.number is not None)
    )


def after(facts: Sequence[PartFact], closed: bool, end: Closing | None) -> list[Message]:
    """What the parts say, and after it, once, what the request says."""
    return [*facts, *([end.message()] if closed and end is not None else [])]
