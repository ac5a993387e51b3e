"""The one life of whatever is sent to a tax platform: a part, or a credit note. A timeout is never a failure; an invoice is a fact.

What becomes due is claimed, with a lease and the attempt on record; the platform is called; the answer is made an `Outcome`; and that,
with the row as it is then, comes to what is written: `Ignored`, `Unmoved`, `Pending`, `Moved` or `Completed`. The rooms above say which
status an event leads to, and what else of theirs changes with it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Generic, Literal, TypeVar

from services.invoicing.quotas.rules import LOOK_SECONDS
from services.invoicing.tax_platforms.port import (
    QUOTA_EXCEEDED,
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
from shared.contracts.invoicing import InvoiceKind, Share
from shared.domain.identifiers import Kind, parse_serial
from shared.domain.refusals import Refusal

Step = Literal["submit", "query", "cancel"]
Event = Literal["claimed", "unsettled", "form", "short", "fits", "failed", "cancelled", "issued", "differs"]
NextStatus = Mapping[tuple[str, Event], str]
"""From a status and what happened to the next status. What isn't in the table changes nothing."""

ISSUED, FAILED, VOIDED, QUARANTINED = "issued", "failed", "voided", "quarantined"
RESTING = frozenset({ISSUED, FAILED, VOIDED, QUARANTINED})
OPEN = ("unsettled", "form")
"""Events after which the platform's last word is still to come."""

POLL_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""How long to wait before asking again about what the platform is working on; the last one repeats."""
UNKNOWN_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""How long to wait before asking again when no answer came, the first time, the second time in a row …; never given up by time."""
PLAIN_CODE = re.compile(r"[A-Za-z0-9_./-]{1,64}")
TEXT_MAX = 400
CALL_SECONDS = 30.0
LEASE_SECONDS = 2 * CALL_SECONDS


@dataclass(frozen=True, kw_only=True)
class InvoiceContent:
    """A part of a request, as every fact about it says it; of a credit note with the amounts of the red invoice, negative."""

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


@dataclass(frozen=True, kw_only=True)
class Submission(InvoiceContent):
    """What a worker holds until its lease ends. `step` is on record before the call it stands for.

    `claimed_at` is real time, for lease and pauses; `unanswered` counts the calls in a row that got no answer.
    """

    lines: tuple[dict[str, Any], ...]
    serial: str
    step: Step
    tries: int
    unanswered: int
    epoch: int
    claimed_at: datetime
    reason: str | None
    text: str | None
    traceparent: str | None
    cancel_reason: str | None = None
    """Why the request shall be cancelled, if somebody wishes so."""


S = TypeVar("S", bound=Submission)


def taken(due: S, step: Step) -> S:
    """What was due, as it is once it is claimed."""
    return replace(due, step=step, tries=due.tries + 1, epoch=due.epoch + 1)


@dataclass(frozen=True)
class PlatformCall:
    """The platform has said by itself that something became of a serial of ours. `call_id`: the same call again is no other call."""

    serial: str
    kind: Kind
    call_id: bytes


def call_about(serial: str, call_id: str) -> PlatformCall | None:
    """None for a serial that was not made here."""
    parsed = parse_serial(serial)
    return None if parsed is None else PlatformCall(serial, parsed.kind, sha256(call_id.encode()).digest())


@dataclass(frozen=True)
class Outcome:
    """What an answer makes of a submission, wherever that stands by now."""

    event: Event
    next_step: Step = "query"
    due_at: datetime | None = None
    number: str | None = None
    issued_at: datetime | None = None
    specimen: bool | None = None
    qr: str | None = None
    reason: str | None = None
    text: str | None = None
    cancel_heard: bool = False
    unanswered: int = 0

    @property
    def fact(self) -> bool:
        """An invoice exists. That is accepted in any status and from any holder; all else only from the holder of the lease."""
        return self.number is not None


def decide(of: Submission, answer: Answer) -> Outcome:
    """From the answer to what becomes of what was submitted."""
    match answer:
        case Issued():
            return _issued(of, answer)
        case Failed(code=code, text=text):
            return _saying(Outcome("failed"), code, text)
        case NotFound():
            return _not_found(of)
        case Cancelled():
            return Outcome("cancelled", reason=of.cancel_reason or Refusal.CANCELLED)
        case CancelHeard():
            return Outcome("unsettled", due_at=of.claimed_at, reason=of.reason, text=of.text, cancel_heard=True)
        case Rejected(code=code, text=text):  # believed only when a query says so too
            return _saying(Outcome("unsettled", due_at=of.claimed_at), code, text)
        case Accepted() | Duplicate() | Processing():
            due_at = after_pause(of, POLL_SECONDS, of.tries)
            return Outcome("unsettled", due_at=due_at, reason=of.reason, text=of.text)
        case _:
            unanswered = of.unanswered + 1
            due_at = after_pause(of, UNKNOWN_SECONDS, unanswered)
            return Outcome("unsettled", due_at=due_at, reason=of.reason, text=of.text, unanswered=unanswered)


def _not_found(of: Submission) -> Outcome:
    """Nothing came of the submission: it was refused, or is not wanted any more, or never arrived."""
    if of.reason == QUOTA_EXCEEDED and of.cancel_reason is None:
        return Outcome("short", next_step="submit", due_at=of.claimed_at + timedelta(seconds=LOOK_SECONDS))
    if of.reason not in (None, QUOTA_EXCEEDED):
        return Outcome("failed", reason=of.reason, text=of.text)
    if of.cancel_reason is not None:
        return Outcome("cancelled", reason=of.cancel_reason)
    return Outcome("unsettled", next_step="submit", due_at=of.claimed_at, unanswered=of.unanswered)


def _issued(of: Submission, answer: Issued) -> Outcome:
    same = (answer.gross_fen, answer.net_fen, answer.tax_fen) == (of.gross_fen, of.net_fen, of.tax_fen)
    found = Outcome("issued", number=answer.number, issued_at=answer.issued_at, specimen=answer.specimen, qr=answer.qr)
    if same:
        return found
    text = (
        f"the platform issued {answer.gross_fen} fen ({answer.net_fen} + {answer.tax_fen}), we asked for {of.gross_fen}"
    )
    return replace(found, event="differs", reason=Refusal.AMOUNT_DIFFERS, text=text)


def _saying(outcome: Outcome, code: str, text: str) -> Outcome:
    """The platform's words as a message and a row can hold them: a plain code, printable text of bounded length."""
    plain = PLAIN_CODE.fullmatch(code) is not None
    words = " ".join((text if plain else f"{code}: {text}").split())
    printable = "".join(filter(str.isprintable, words))[:TEXT_MAX]
    return replace(outcome, reason=code if plain else Refusal.PLATFORM_REFUSED, text=printable)


def after_pause(of: Submission, pauses: Sequence[float], times: int) -> datetime:
    return of.claimed_at + timedelta(seconds=pauses[min(times, len(pauses)) - 1])


@dataclass(frozen=True)
class Held:
    """The row of a submission as it is when the answer comes, locked. `succeeded`: another one under its serial came after it."""

    status: str
    epoch: int
    succeeded: bool = False


H = TypeVar("H", bound=Held)
O = TypeVar("O", bound=Outcome)  # noqa: E741 - the outcome


@dataclass(frozen=True)
class Ignored:
    """The word of a holder whose lease went to another."""


@dataclass(frozen=True)
class Unmoved:
    """The row stays what it is, as one does that has ended; asked `again` only while the platform's last word is to come."""

    again: bool
    due_at: datetime | None
    unanswered: int


@dataclass(frozen=True)
class Pending(Generic[H, O]):
    """It is where it was, and the platform is asked again."""

    held: H
    status: str
    outcome: O


@dataclass(frozen=True)
class Moved(Pending[H, O]):
    """It comes into another status."""


@dataclass(frozen=True)
class Completed(Moved[H, O]):
    """The invoice it was for is issued as it was asked for, and is to be printed."""


Settled = Ignored | Unmoved | Pending[H, O] | Moved[H, O] | Completed[H, O]


def settle(of: Submission, outcome: O, held: H, next_status: NextStatus) -> Settled[H, O]:
    """From what the answer makes of it, and the row as it is, to what is written."""
    if held.epoch != of.epoch and not outcome.fact:
        return Ignored()
    status = next_status.get((held.status, outcome.event))
    if status is None or held.succeeded:
        again = not held.succeeded and outcome.event in OPEN
        return Unmoved(again, outcome.due_at, outcome.unanswered) if held.epoch == of.epoch else Ignored()
    if status == held.status:
        return Pending(held, status, outcome)
    return Completed(held, status, outcome) if status == ISSUED else Moved(held, status, outcome)
