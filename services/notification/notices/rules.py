"""What is told of which fact, on which channel, and what becomes of an attempt. Once for each fact and channel, whatever is redelivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notification.channels.port import Outcome, Refused, Sent
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
from shared.contracts.notices import Channel, NoticeFailed, NoticeSent
from shared.domain.red_form import reminder_of

AGAIN_SECONDS = (2.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
"""Pauses after an attempt without an answer; the last one repeats until `GIVE_UP_TRIES`."""
GIVE_UP_TRIES = 60
WAIT_FOR_RECIPIENT_TRIES = 6
"""Who an account writes to may arrive a moment after its first invoice."""
LEASE_SECONDS = 60.0
EVERYWHERE: tuple[Channel, ...] = ("mail", "sms", "inbox")


@dataclass(frozen=True)
class New:
    """Something to tell on one channel."""

    account_id: int
    request_id: int
    part_id: int
    kind: str
    channel: Channel
    subject: str
    text: str
    files: tuple[InvoiceFile, ...] = ()
    credit_note_id: int = 0


@dataclass(frozen=True)
class Due:
    """A notification a worker holds. The address is sealed, or None while it is not known."""

    account_id: int
    notification_id: int
    request_id: int
    kind: str
    channel: Channel
    subject: str
    text: str
    files: tuple[InvoiceFile, ...]
    tries: int
    epoch: int
    claimed_at: datetime
    traceparent: str | None
    address: str | None
    wrapped_key: str | None


@dataclass(frozen=True)
class Change:
    status: str
    reason: str | None = None
    due_at: datetime | None = None


def issued(fact: InvoiceIssued) -> list[New]:
    subject, text = texts.issued(fact.number, fact.gross_fen)
    return _on(("sms", "inbox"), fact, fact.part_id, "invoice_issued", subject, text)


def documents(fact: InvoiceFilesStored) -> list[New]:
    if fact.credit_note_id is not None:
        subject, text = texts.red_documents(fact.number, fact.gross_fen)
        kind, note = "credit_note_documents", fact.credit_note_id
        return _on(("mail",), fact, fact.part_id, kind, subject, text, fact.files, note)
    subject, text = texts.documents(fact.number, fact.gross_fen)
    return _on(("mail",), fact, fact.part_id, "invoice_documents", subject, text, fact.files)


def failed(fact: InvoiceFailed) -> list[New]:
    subject, text = texts.failed(fact.gross_fen, fact.reason, fact.text)
    return _on(EVERYWHERE, fact, fact.part_id, "invoice_failed", subject, text)


def voided(fact: InvoiceVoided) -> list[New]:
    subject, text = texts.voided(fact.gross_fen)
    return _on(("inbox",), fact, fact.part_id, "invoice_voided", subject, text)


def credited(fact: InvoiceCredited) -> list[New]:
    subject, text = texts.credited(fact.number, fact.red_number, fact.gross_fen)
    return _on(("sms", "inbox"), fact, fact.part_id, "invoice_credited", subject, text)


def form_waits(fact: RedFormWaits) -> list[New]:
    """Each reminder is a kind of its own: told once as well, and beside the ones before it."""
    subject, text = texts.form_waits(fact.number, fact.gross_fen, fact.form_number, fact.hours_left)
    kind = f"red_form_waits_{reminder_of(fact.hours_left)}"
    return _on(EVERYWHERE, fact, fact.part_id, kind, subject, text, credit_note_id=fact.credit_note_id)


def credit_failed(fact: CreditNoteFailed) -> list[New]:
    subject, text = texts.credit_failed(fact.number, fact.gross_fen, fact.reason, fact.text)
    kind = "credit_note_failed"
    return _on(EVERYWHERE, fact, fact.part_id, kind, subject, text, credit_note_id=fact.credit_note_id)


def refused(fact: RequestRefused) -> list[New]:
    subject, text = texts.refused(fact.request_id, fact.reason)
    return _on(("inbox",), fact, 0, "request_refused", subject, text)


def _on(
    channels: Sequence[Channel],
    fact: InvoicingFact,
    part_id: int,
    kind: str,
    subject: str,
    text: str,
    files: tuple[InvoiceFile, ...] = (),
    credit_note_id: int = 0,
) -> list[New]:
    return [
        New(fact.account_id, fact.request_id, part_id, kind, channel, subject, text, files, credit_note_id)
        for channel in channels
    ]


@dataclass(frozen=True)
class NoAddress:
    """The account has not said where to write to."""


def decide(due: Due, outcome: Outcome | NoAddress) -> Change:
    if isinstance(outcome, Sent):
        return Change("sent")
    if isinstance(outcome, Refused):
        return Change("failed", outcome.reason)
    if isinstance(outcome, NoAddress) and due.tries >= WAIT_FOR_RECIPIENT_TRIES:
        return Change("failed", "NO_RECIPIENT")
    if due.tries >= GIVE_UP_TRIES:
        return Change("failed", "NO_ANSWER")
    pause = AGAIN_SECONDS[min(due.tries, len(AGAIN_SECONDS)) - 1]
    return Change("pending", due_at=due.claimed_at + timedelta(seconds=pause))


def told(ended: Sequence["Ended"]) -> list[Message]:
    """What is published of notifications that have come to an end."""
    return [
        NoticeSent.model_validate(one.common())
        if one.reason is None
        else NoticeFailed.model_validate(one.common() | {"reason": one.reason})
        for one in ended
    ]


@dataclass(frozen=True)
class Ended:
    account_id: int
    notification_id: int
    channel: str
    kind: str
    request_id: int
    reason: str | None

    def common(self) -> dict[str, object]:
        return {
            "account_id": self.account_id,
            "notice_id": self.notification_id,
            "channel": self.channel,
            "kind": self.kind,
            "request_id": self.request_id,
        }
