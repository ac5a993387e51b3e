"""The files of an issued invoice: what is made, and what the world is told once they are stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.invoicing.submissions.rules import Submission
from shared.contracts.invoicing import InvoiceFile, InvoiceFilesStored, InvoiceKind
from shared.contracts.message import Message

AGAIN_SECONDS = (1.0, 5.0, 30.0, 300.0)


@dataclass(frozen=True)
class NewInvoiceFileJob:
    """Files that become due: of an issued part, or of its credit note."""

    account_id: int
    part_id: int
    credit_note_id: int
    due_at: datetime
    traceparent: str | None


def job_of(issued: Submission, credit_note_id: int = 0) -> NewInvoiceFileJob:
    """Of a part, or of a credit note that has issued its red invoice."""
    return NewInvoiceFileJob(issued.account_id, issued.part_id, credit_note_id, issued.claimed_at, issued.traceparent)


@dataclass(frozen=True)
class InvoiceFileJob:
    """An issued part whose files are due, or its credit note; everything that is printed, the title still sealed.

    Amounts and lines are the blue ones; of a red invoice each is printed negative. `named_at` is when the blue one was issued.
    """

    account_id: int
    part_id: int
    credit_note_id: int
    epoch: int
    tries: int
    traceparent: str | None
    request_id: int
    legal_entity: str
    tax_percent: int
    kind: InvoiceKind
    gross_fen: int
    net_fen: int
    tax_fen: int
    lines: tuple[dict[str, Any], ...]
    serial: str
    number: str
    issued_at: datetime
    specimen: bool
    qr: str
    requested_at: datetime
    title: dict[str, Any]
    remark: str
    claimed_at: datetime
    named_at: datetime
    blue_number: str
    form_number: str | None

    @property
    def sign(self) -> int:
        return -1 if self.credit_note_id else 1


@dataclass(frozen=True)
class FilesMade:
    """They are in the object store."""

    files: tuple[InvoiceFile, ...]


@dataclass(frozen=True)
class FilesDelayed:
    """The renderer failed: later. A missing file never undoes an invoice."""

    due_at: datetime


@dataclass(frozen=True)
class FilesErased:
    """An invoice that turned up after its buyer's data were erased: nobody can draw it. The tax bureau has it."""


def delayed(job: InvoiceFileJob) -> FilesDelayed:
    pause = AGAIN_SECONDS[min(job.tries, len(AGAIN_SECONDS)) - 1]
    return FilesDelayed(job.claimed_at + timedelta(seconds=pause))


def stored(job: InvoiceFileJob, made: FilesMade, news: bool) -> list[Message]:
    """What is told of them, once."""
    told = InvoiceFilesStored(
        account_id=job.account_id,
        request_id=job.request_id,
        part_id=job.part_id,
        credit_note_id=job.credit_note_id or None,
        number=job.number,
        gross_fen=job.gross_fen,
        files=made.files,
    )
    return [told] if news else []
