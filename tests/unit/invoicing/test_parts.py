"""What the platform's answer makes of a part: a timeout is never a failure, a document is a fact."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.invoicing.issuing.rules import NEXT_STATUS, ClaimedPart, facts_of
from services.invoicing.requests.rules import Resting, closing
from services.invoicing.submissions.rules import POLL_SECONDS, UNKNOWN_SECONDS, decide
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
    Unknown,
)
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, InvoiceVoided, Share

NOW = datetime(2026, 3, 10, tzinfo=UTC)
PART = ClaimedPart(
    account_id=1,
    part_id=2,
    request_id=3,
    reservation_id=4,
    subject="ALIYUN_SERVICE",
    legal_entity="ALIYUN",
    content="ALIYUN/soft",
    tax_percent=6,
    kind="general",
    gross_fen=106,
    net_fen=100,
    tax_fen=6,
    shares=(Share(group_no=1, amount_fen=106),),
    lines=(),
    serial="0" * 20,
    step="submit",
    tries=1,
    unanswered=0,
    epoch=1,
    claimed_at=NOW,
    printed_at=NOW,
    reason=None,
    text=None,
    title={},
    remark="",
    traceparent=None,
)
ISSUED = Issued("1" * 20, NOW, 106, 100, 6, "qr", specimen=True)

ANSWERS: list[tuple[Answer, str, str, timedelta | None]] = [
    (Accepted(), "unsettled", "query", timedelta(seconds=POLL_SECONDS[0])),
    (Duplicate(), "unsettled", "query", timedelta(seconds=POLL_SECONDS[0])),
    (Processing(), "unsettled", "query", timedelta(seconds=POLL_SECONDS[0])),
    (Unknown("timeout"), "unsettled", "query", timedelta(seconds=UNKNOWN_SECONDS[0])),
    (Rejected("TOTALS", "wrong"), "unsettled", "query", timedelta()),
    (NotFound(), "unsettled", "submit", timedelta()),
    (Failed("BUYER_TAX_ID", "bad"), "failed", "query", None),
    (Cancelled(), "cancelled", "query", None),
    (CancelHeard(), "unsettled", "query", timedelta()),
    (ISSUED, "issued", "query", None),
    (replace(ISSUED, gross_fen=107, net_fen=101), "differs", "query", None),
]


@pytest.mark.parametrize(("answer", "event", "step", "pause"), ANSWERS, ids=lambda value: type(value).__name__)
def test_each_answer_has_its_consequence(answer: Answer, event: str, step: str, pause: timedelta | None) -> None:
    found = decide(PART, answer)
    assert (found.event, found.next_step) == (event, step)
    assert found.due_at == (None if pause is None else NOW + pause)


def test_a_rejection_counts_only_when_the_platform_knows_of_nothing() -> None:
    rejected = decide(PART, Rejected("TOTALS", "wrong"))
    asked = replace(PART, step="query", tries=2, reason=rejected.reason, text=rejected.text)
    assert decide(asked, NotFound()).event == "failed"
    assert decide(asked, ISSUED).event == "issued"


def test_what_is_refused_for_quota_may_be_submitted_again_unless_it_was_cancelled() -> None:
    asked = replace(PART, step="query", tries=2, reason=QUOTA_EXCEEDED)
    assert (decide(asked, NotFound()).event, decide(asked, NotFound()).next_step) == ("short", "submit")
    cancelled = decide(replace(asked, cancel_reason="CANCELLED"), NotFound())
    assert (cancelled.event, cancelled.reason) == ("cancelled", "CANCELLED")
    assert decide(asked, ISSUED).event == "issued"


@pytest.mark.parametrize("unanswered", [0, 1, 2, 3, 10, 1000])
def test_no_number_of_timeouts_makes_a_failure(unanswered: int) -> None:
    found = decide(replace(PART, unanswered=unanswered), Unknown("timeout"))
    assert (found.event, found.unanswered) == ("unsettled", unanswered + 1)
    assert found.due_at is not None
    assert timedelta(0) < found.due_at - NOW <= timedelta(hours=1)


def test_submissions_that_get_no_answer_are_further_and_further_apart_though_queries_are_answered() -> None:
    part, pauses = PART, []
    for _ in UNKNOWN_SECONDS:
        lost = decide(replace(part, step="submit"), Unknown("HTTP 503"))
        assert lost.due_at is not None
        pauses.append((lost.due_at - NOW).total_seconds())
        asked = decide(replace(part, step="query", unanswered=lost.unanswered), NotFound())
        part = replace(part, unanswered=asked.unanswered)
    assert tuple(pauses) == UNKNOWN_SECONDS


def test_one_lost_answer_is_asked_for_soon_however_often_the_platform_was_asked() -> None:
    found = decide(replace(PART, tries=1000), Unknown("timeout"))
    assert found.due_at == NOW + timedelta(seconds=UNKNOWN_SECONDS[0])
    assert decide(replace(PART, unanswered=5), Processing()).unanswered == 0


@pytest.mark.parametrize("status", ["queued", "waiting_quota", "submitting", "failed", "voided"])
def test_a_document_counts_in_any_state_but_only_once(status: str) -> None:
    assert NEXT_STATUS[status, "issued"] == "issued"
    assert NEXT_STATUS[status, "differs"] == "quarantined"
    assert ("issued", "issued") not in NEXT_STATUS


def test_a_document_over_another_amount_is_a_fact_too() -> None:
    assert decide(PART, replace(ISSUED, gross_fen=107, net_fen=101)).fact
    assert decide(PART, ISSUED).fact
    assert not decide(PART, Failed("X", "y")).fact


def test_what_has_ended_moves_for_nothing_but_a_document() -> None:
    ended = ("failed", "voided", "issued", "quarantined")
    assert {event for status, event in NEXT_STATUS if status in ended} == {"issued", "differs"}


@pytest.mark.parametrize(
    ("code", "text", "reason", "told"),
    [
        ("BUYER_TAX_ID", "购方税号有误", "BUYER_TAX_ID", "购方税号有误"),
        ("购方 错误", "bad", "PLATFORM_REFUSED", "购方 错误: bad"),
        ("", "", "PLATFORM_REFUSED", ":"),
        ("X" * 65, "y", "PLATFORM_REFUSED", f"{'X' * 65}: y"),
        ("E1", "a\x00b\nc\x1b[0m", "E1", "ab c[0m"),
        ("E1", "长" * 1000, "E1", "长" * 400),
    ],
    ids=["plain", "not plain", "empty", "long code", "control characters", "long text"],
)
def test_the_platforms_words_fit_whatever_they_are(code: str, text: str, reason: str, told: str) -> None:
    for answer in (Failed(code, text), Rejected(code, text)):
        found = decide(PART, answer)
        assert (found.reason, found.text) == (reason, told)
    (fact,) = facts_of(PART, decide(PART, Failed(code, text)), "failed")
    assert isinstance(fact, InvoiceFailed)


@pytest.mark.parametrize(
    ("answer", "status", "fact"),
    [
        (ISSUED, "issued", InvoiceIssued),
        (Failed("X", "y"), "failed", InvoiceFailed),
        (Cancelled(), "voided", InvoiceVoided),
    ],
    ids=["issued", "failed", "voided"],
)
def test_the_world_is_told_when_a_part_rests(answer: Answer, status: str, fact: type) -> None:
    (told,) = facts_of(PART, decide(PART, answer), status)
    assert isinstance(told, fact)
    assert facts_of(PART, decide(PART, answer), "submitting") == []


@pytest.mark.parametrize(
    ("statuses", "ends"),
    [
        ([], None),
        (["issued", "submitting"], None),
        (["issued", "issued"], "invoiced"),
        (["issued", "failed"], "partly_issued"),
        (["issued", "voided"], "partly_issued"),
        (["failed", "voided"], "failed"),
        (["voided"], "voided"),
        (["quarantined"], "invoiced"),
    ],
)
def test_a_request_ends_with_its_last_part(statuses: list[str], ends: str | None) -> None:
    ended = closing(1, 3, [Resting(status, None, None) for status in statuses])
    assert [end.status for end in ended] == ([] if ends is None else [ends])
