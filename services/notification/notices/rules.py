"""What is told of which fact, on which channel, and what becomes of an attempt. Once for each fact and channel, whatever is redelivered."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.notification.channels.port import Refused, SendAnswer, Sent
from services.notification.notices import texts
from shared.contracts.invoicing import (
    CreditNoteFailed,
    InvoiceCredited,
    InvoiceFailed,
    InvoiceFile,
    InvoiceFilesStored,
    InvoiceIssued,
    InvoiceVoided,
    InvoicingFact,
    RedFormWaits,
    RequestRefused,
)
from shared.contracts.message import Message
from shared.contracts.notices import Channel, NoticeFact, NoticeFailed, NoticeSent
from shared.domain.red_form import reminder_of
from shared.domain.refusals import Refusal

AGAIN_SECONDS = (2.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
"""Pauses after an attempt without an answer; the last one repeats until `GIVE_UP_TRIES`."""
GIVE_UP_TRIES = 60
WAIT_FOR_RECIPIENT_TRIES = 6
"""Where an account is written to may become known a moment after its first invoice."""
LEASE_SECONDS = 60.0
EVERYWHERE: tuple[Channel, ...] = ("mail", "sms", "inbox")

Status = Literal["pending", "sent", "failed"]


@dataclass(frozen=True)
class NewNotice:
    """Something to tell on one channel. `part_id` and `credit_note_id` are 0 for what concerns none."""

    account_id: int
    request_id: int
    part_id: int
    credit_note_id: int
    kind: str
    channel: Channel
    subject: str
    text: str
    files: tuple[InvoiceFile, ...]
    status: Status
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class DueNotice:
    """A notice a worker holds. The address is sealed, or None while it is not known."""

    account_id: int
    notice_id: int
    request_id: int
    kind: str
    channel: Channel
    subject: str
    text: str
    files: tuple[InvoiceFile, ...]
    tries: int
    epoch: int
    due_at: datetime
    claimed_at: datetime
    traceparent: str | None
    address: str | None


@dataclass(frozen=True)
class Notice:
    """How far a notice has come."""

    account_id: int
    notice_id: int
    channel: Channel
    kind: str
    request_id: int
    status: Status
    reason: str | None


@dataclass(frozen=True)
class DeliveryOutcome:
    """What a notice becomes by an attempt."""

    status: Status
    reason: str | None
    due_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class NoAddress:
    """The account has not said where to write to."""


def issued(fact: InvoiceIssued, now: datetime) -> list[NewNotice]:
    text = texts.issued(fact.number, fact.gross_fen)
    return _on(("sms", "inbox"), "invoice_issued", text, fact, now, fact.part_id)


def files_stored(fact: InvoiceFilesStored, now: datetime) -> list[NewNotice]:
    if fact.credit_note_id is not None:
        text, kind = texts.red_files(fact.number, fact.gross_fen), "credit_note_documents"
        return _on(("mail",), kind, text, fact, now, fact.part_id, fact.credit_note_id, fact.files)
    text = texts.files(fact.number, fact.gross_fen)
    return _on(("mail",), "invoice_documents", text, fact, now, fact.part_id, files=fact.files)


def failed(fact: InvoiceFailed, now: datetime) -> list[NewNotice]:
    text = texts.failed(fact.gross_fen, fact.reason, fact.text)
    return _on(EVERYWHERE, "invoice_failed", text, fact, now, fact.part_id)


def voided(fact: InvoiceVoided, now: datetime) -> list[NewNotice]:
    return _on(("inbox",), "invoice_voided", texts.voided(fact.gross_fen), fact, now, fact.part_id)


def credited(fact: InvoiceCredited, now: datetime) -> list[NewNotice]:
    text = texts.credited(fact.number, fact.red_number, fact.gross_fen)
    return _on(("sms", "inbox"), "invoice_credited", text, fact, now, fact.part_id)


def form_waits(fact: RedFormWaits, now: datetime) -> list[NewNotice]:
    """Each reminder is a kind of its own: told once as well, and beside the ones before it."""
    text = texts.form_waits(fact.number, fact.gross_fen, fact.form_number, fact.hours_left)
    kind = f"red_form_waits_{reminder_of(fact.hours_left)}"
    return _on(EVERYWHERE, kind, text, fact, now, fact.part_id, fact.credit_note_id)


def credit_failed(fact: CreditNoteFailed, now: datetime) -> list[NewNotice]:
    text = texts.credit_failed(fact.number, fact.gross_fen, fact.reason, fact.text)
    return _on(EVERYWHERE, "credit_note_failed", text, fact, now, fact.part_id, fact.credit_note_id)


def refused(fact: RequestRefused, now: datetime) -> list[NewNotice]:
    return _on(("inbox",), "request_refused", texts.refused(fact.request_id, fact.reason), fact, now)


def _on(
    channels: Sequence[Channel],
    kind: str,
    written: tuple[str, str],
    fact: InvoicingFact,
    now: datetime,
    part_id: int = 0,
    credit_note_id: int = 0,
    files: tuple[InvoiceFile, ...] = (),
) -> list[NewNotice]:
    """`written`: subject and text. What is for the inbox has been sent by being stored."""
    concerns = (fact.account_id, fact.request_id, part_id, credit_note_id, kind)
    return [
        NewNotice(*concerns, channel, *written, files, "sent", now, ended_at=now)
        if channel == "inbox"
        else NewNotice(*concerns, channel, *written, files, "pending", now, ended_at=None)
        for channel in channels
    ]


def decide(due: DueNotice, answer: SendAnswer | NoAddress, now: datetime) -> DeliveryOutcome:
    if isinstance(answer, Sent):
        return DeliveryOutcome("sent", None, due.due_at, ended_at=now)
    if isinstance(answer, Refused):
        return DeliveryOutcome("failed", answer.reason, due.due_at, ended_at=now)
    if isinstance(answer, NoAddress) and due.tries >= WAIT_FOR_RECIPIENT_TRIES:
        return DeliveryOutcome("failed", Refusal.NO_RECIPIENT, due.due_at, ended_at=now)
    if due.tries >= GIVE_UP_TRIES:
        return DeliveryOutcome("failed", Refusal.NO_ANSWER, due.due_at, ended_at=now)
    pause = timedelta(seconds=AGAIN_SECONDS[min(due.tries, len(AGAIN_SECONDS)) - 1])
    return DeliveryOutcome("pending", None, due.claimed_at + pause, ended_at=None)


FACTS: Mapping[Status, type[NoticeFact]] = {"sent": NoticeSent, "failed": NoticeFailed}


def told(notices: Sequence[Notice]) -> list[Message]:
    """What is published of notices: that they have come to an end."""
    return [FACTS[one.status].model_validate(asdict(one)) for one in notices if one.status in FACTS]
