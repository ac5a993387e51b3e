"""What becomes of an attempt, and what is published of it: sent once, failed with its reason, or tried again after a pause."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notification.channels.port import Refused, SendAnswer, Sent, Unknown
from services.notification.notices.rules import (
    GIVE_UP_TRIES,
    WAIT_FOR_RECIPIENT_TRIES,
    DeliveryOutcome,
    DueNotice,
    NoAddress,
    Notice,
    decide,
    issued,
    told,
)
from shared.contracts.notices import NoticeFailed, NoticeSent
from tests.integration.notification.test_notification import ISSUED

CLAIMED = datetime(2026, 3, 10, 2, tzinfo=UTC)
NOW = CLAIMED + timedelta(seconds=3)
DUE = DueNotice(
    account_id=1,
    notice_id=7,
    request_id=5,
    kind="invoice_issued",
    channel="sms",
    subject="",
    text="",
    files=(),
    tries=1,
    epoch=1,
    due_at=CLAIMED - timedelta(seconds=1),
    claimed_at=CLAIMED,
    traceparent=None,
    address=None,
)
NOTICE = Notice(1, 7, "sms", "invoice_issued", 5, "pending", None)


@pytest.mark.parametrize(
    ("tries", "answer", "status", "reason"),
    [
        (1, Sent(), "sent", None),
        (GIVE_UP_TRIES, Sent(), "sent", None),
        (1, Refused("ADDRESS_REFUSED"), "failed", "ADDRESS_REFUSED"),
        (WAIT_FOR_RECIPIENT_TRIES, NoAddress(), "failed", "NO_RECIPIENT"),
        (GIVE_UP_TRIES, Unknown("timeout"), "failed", "NO_ANSWER"),
    ],
)
def test_an_end_is_an_end(tries: int, answer: SendAnswer | NoAddress, status: str, reason: str | None) -> None:
    due = replace(DUE, tries=tries)
    outcome = decide(due, answer, NOW)
    assert (outcome.status, outcome.reason, outcome.ended_at, outcome.due_at) == (status, reason, NOW, due.due_at)


@pytest.mark.parametrize(
    ("tries", "answer", "pause_seconds"),
    [
        (1, Unknown("timeout"), 2),
        (2, Unknown("timeout"), 10),
        (6, Unknown("timeout"), 3600),
        (GIVE_UP_TRIES - 1, Unknown("timeout"), 3600),
        (WAIT_FOR_RECIPIENT_TRIES - 1, NoAddress(), 600),
        (WAIT_FOR_RECIPIENT_TRIES, Unknown("timeout"), 3600),
    ],
)
def test_no_answer_is_tried_again_after_a_pause(tries: int, answer: SendAnswer | NoAddress, pause_seconds: int) -> None:
    due_at = CLAIMED + timedelta(seconds=pause_seconds)
    assert decide(replace(DUE, tries=tries), answer, NOW) == DeliveryOutcome("pending", None, due_at, ended_at=None)


def test_only_an_end_is_published() -> None:
    sent, failed = replace(NOTICE, status="sent"), replace(NOTICE, status="failed", reason="NO_ANSWER")
    about = {"account_id": 1, "notice_id": 7, "channel": "sms", "kind": "invoice_issued", "request_id": 5}
    assert told([NOTICE, sent, failed]) == [
        NoticeSent.model_validate(about),
        NoticeFailed.model_validate(about | {"reason": "NO_ANSWER"}),
    ]


def test_what_is_for_the_inbox_is_sent_by_being_stored_and_the_rest_waits() -> None:
    by_channel = {one.channel: (one.status, one.ended_at) for one in issued(ISSUED, NOW)}
    assert by_channel == {"inbox": ("sent", NOW), "sms": ("pending", None)}
