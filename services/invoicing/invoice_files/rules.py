"""The files of an issued invoice: what is made, and what the world is told once they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.contracts.invoicing import InvoiceFile, InvoiceFilesStored, InvoiceKind
from shared.contracts.message import Message

AGAIN_SECONDS = (1.0, 5.0, 30.0, 300.0)


@dataclass(frozen=True)
class DocumentJob:
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
    wrapped_key: str | None
    claimed_at: datetime
    named_at: datetime
    blue_number: str
    form_number: str | None

    @property
    def sign(self) -> int:
        return -1 if self.credit_note_id else 1


@dataclass(frozen=True)
class Made:
    """Files in the object store; or none, and when to try again."""

    files: tuple[InvoiceFile, ...] = ()
    due_again_at: datetime | None = None


def again(job: DocumentJob) -> Made:
    """The store or the renderer failed: later. A missing file never undoes an invoice."""
    pause = AGAIN_SECONDS[min(job.tries, len(AGAIN_SECONDS)) - 1]
    return Made(due_again_at=job.claimed_at + timedelta(seconds=pause))


def stored(job: DocumentJob, settled: bool, files: Sequence[InvoiceFile]) -> list[Message]:
    if not (settled and files):
        return []
    common = {"account_id": job.account_id, "request_id": job.request_id, "part_id": job.part_id}
    return [
        InvoiceFilesStored.model_validate(
            common
            | {"number": job.number, "gross_fen": job.gross_fen, "files": tuple(files)}
            | ({"credit_note_id": job.credit_note_id} if job.credit_note_id else {})
        )
    ]
