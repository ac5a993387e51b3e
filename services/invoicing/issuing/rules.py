"""The life of a part, which becomes one invoice or none: what a claim of it means, and what the platform's answer makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.invoicing.quotas.rules import QuotaChange
from services.invoicing.requests.rules import Closing
from services.invoicing.submissions.rules import (
    FAILED,
    ISSUED,
    QUARANTINED,
    VOIDED,
    Held,
    InvoiceContent,
    Moved,
    NextStatus,
    Outcome,
    Pending,
    Settled,
    Step,
    Submission,
    decide,
    settle,
)
from services.invoicing.tax_platforms.port import Answer
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, InvoiceVoided, PartFact
from shared.contracts.message import Message
from shared.domain.calendar import cycle_of

QUEUED, WAITING_QUOTA, SUBMITTING = "queued", "waiting_quota", "submitting"
MAY_BE_ISSUED = (QUEUED, WAITING_QUOTA, SUBMITTING, FAILED, VOIDED)
"""Whatever we think: an invoice that exists is a fact."""

NEXT_STATUS: NextStatus = {
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
PART_FACT = tuple(InvoiceContent.__dataclass_fields__)
"""What every fact about a part says of it."""


@dataclass(frozen=True, kw_only=True)
class ClaimedPart(Submission):
    """A part in the hands of a worker. `printed_at` is business time: names are printed as they are on that day."""

    printed_at: datetime
    title: dict[str, Any]
    remark: str


@dataclass(frozen=True, kw_only=True)
class DuePart(ClaimedPart):
    """A part whose turn has come, as it is found. `step` is what was to be next; `last_step` what was done last."""

    status: str
    quota_month: str | None
    cancel_wished: bool
    cancel_heard: bool
    last_step: Step | None

    @property
    def goes_out_again(self) -> bool:
        """The platform did not know its serial."""
        return (self.status, self.step) == (SUBMITTING, "submit")


def step_of(due: DuePart) -> Step:
    """A wish to cancel goes out until the platform has heard it, and after each try it is asked what became of the part. What the
    platform does not know is not submitted again once it shall be cancelled: it is asked for once more.
    """
    if not due.cancel_wished or due.status != SUBMITTING:
        return due.step
    return "query" if due.goes_out_again or due.cancel_heard or due.last_step == "cancel" else "cancel"


def status_once_claimed(due: DuePart) -> str:
    """One that has ended, and that the platform called about, stays what it is."""
    return NEXT_STATUS.get((due.status, "claimed"), due.status)


def carried_over(due: DuePart, month: str) -> tuple[QuotaChange, ...]:
    """What is with the platform when a month begins will be issued in it, and counts there, whatever is left (D-39)."""
    if due.status != SUBMITTING or due.quota_month == month:
        return ()
    before = () if due.quota_month is None else (QuotaChange(due.legal_entity, due.quota_month, -due.net_fen),)
    return (*before, QuotaChange(due.legal_entity, month, due.net_fen))


@dataclass(frozen=True)
class HeldPart(Held):
    """The row of a part as it is when the answer comes. `quota_month`: in which its net amount is held."""

    quota_month: str | None = None
    cancel_heard: bool = False


PendingPart = Pending[HeldPart, Outcome]
MovedPart = Moved[HeldPart, Outcome]


def answered(part: ClaimedPart, answer: Answer, held: HeldPart, *, cancel_wished: bool) -> Settled[HeldPart, Outcome]:
    """What is written of an answer. One that shall be cancelled does not wait for quota any more."""
    outcome = decide(part, answer)
    if cancel_wished and outcome.event == "short":
        outcome = replace(outcome, event="unsettled", next_step="query", due_at=part.claimed_at)
    return settle(part, outcome, held, NEXT_STATUS)


def columns_of(part: PendingPart) -> dict[str, object]:
    """Of a part alone: quota is held while it is with the platform; a wish to cancel, once heard, stays heard."""
    return {
        "quota_month": part.held.quota_month if part.status == SUBMITTING else None,
        "cancel_heard": part.held.cancel_heard or part.outcome.cancel_heard,
    }


def quota_changes(part: Submission, moved: MovedPart) -> tuple[QuotaChange, ...]:
    """What was held is used, or free again; what the platform called too much, it is asked about."""
    held_in, issued_at, net_fen = moved.held.quota_month, moved.outcome.issued_at, part.net_fen
    used_in = None if issued_at is None else cycle_of(issued_at)
    return tuple(
        QuotaChange(
            part.legal_entity,
            month,
            held_net_fen=-net_fen if month == held_in else 0,
            issued_net_fen=net_fen if month == used_in else 0,
            ask_soon=moved.outcome.event == "short",
        )
        for month in sorted({month for month in (held_in, used_in) if month is not None})
    )


@dataclass(frozen=True)
class StatusChange:
    """A line of a part's history."""

    account_id: int
    part_id: int
    before: str
    after: str


def history(part: InvoiceContent, before: str, after: str) -> tuple[StatusChange, ...]:
    return () if before == after else (StatusChange(part.account_id, part.part_id, before, after),)


def facts_of(part: InvoiceContent, outcome: Outcome, status: str) -> list[PartFact]:
    """What the world is told when a part has come to rest."""
    common = {name: getattr(part, name) for name in PART_FACT}
    match status, part:
        case "issued", Submission(serial=serial):
            issue = {"serial": serial, "number": outcome.number, "issued_at": outcome.issued_at}
            return [InvoiceIssued.model_validate(common | issue | {"specimen": outcome.specimen})]
        case "failed", Submission(serial=serial):
            failure = {"serial": serial, "reason": outcome.reason, "text": outcome.text or ""}
            return [InvoiceFailed.model_validate(common | failure)]
        case "voided", _:
            return [InvoiceVoided.model_validate(common | {"reason": outcome.reason})]
        case _:
            return []


@dataclass(frozen=True, kw_only=True)
class VoidedPart(InvoiceContent):
    """A part that was cancelled while it was not with the platform, and the status it had."""

    before: str
    reason: str


def voided(parts: Sequence[VoidedPart]) -> list[PartFact]:
    return [fact for part in parts for fact in facts_of(part, Outcome("cancelled", reason=part.reason), VOIDED)]


def voided_history(parts: Sequence[VoidedPart]) -> list[StatusChange]:
    return [change for part in parts for change in history(part, part.before, VOIDED)]


def after(facts: Sequence[PartFact], closed: Sequence[Closing]) -> list[Message]:
    """What the parts say, and after it what the request says."""
    return [*facts, *(end.message for end in closed)]
