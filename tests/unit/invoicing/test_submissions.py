"""The one life of whatever is submitted: what is written of an answer, by the row as it is then. And who is asked for which seller."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from services.invoicing.issuing import rules, waiting
from services.invoicing.issuing.rules import NEXT_STATUS, DuePart, HeldPart, MovedPart
from services.invoicing.issuing.waiting import WaitingPart
from services.invoicing.quotas.rules import LOOK_SECONDS, QuotaChange
from services.invoicing.submissions.rules import (
    Completed,
    Held,
    Ignored,
    Moved,
    Outcome,
    Pending,
    Unmoved,
    settle,
    taken,
)
from services.invoicing.tax_platforms.adapters.http_json.forms import DEAD, form
from services.invoicing.tax_platforms.port import QUOTA_EXCEEDED, FormDied, FormState, FormTold, NotFound, TaxPlatform
from services.invoicing.tax_platforms.routing import Platforms
from shared.domain.refusals import text_of
from tests.unit.invoicing.test_parts import NOW, PART

ASKED = Outcome("unsettled", due_at=NOW, unanswered=2)
FAILED = Outcome("failed", reason="X")
ISSUED = Outcome("issued", number="1" * 20, issued_at=NOW)
DIFFERS = replace(ISSUED, event="differs")
SUBMITTED = HeldPart("submitting", PART.epoch, quota_month="202603")
DUE = DuePart(
    **vars(replace(PART, step="query")),
    status="submitting",
    quota_month="202603",
    cancel_wished=False,
    cancel_heard=False,
    last_step="query",
)


@pytest.mark.parametrize(
    ("held", "outcome", "written"),
    [
        (Held("submitting", 1), ASKED, Pending(Held("submitting", 1), "submitting", ASKED)),
        (Held("submitting", 1), FAILED, Moved(Held("submitting", 1), "failed", FAILED)),
        (Held("submitting", 2), FAILED, Ignored()),
        (Held("submitting", 2), ISSUED, Completed(Held("submitting", 2), "issued", ISSUED)),
        (Held("failed", 1), DIFFERS, Moved(Held("failed", 1), "quarantined", DIFFERS)),
        (Held("failed", 1), ASKED, Unmoved(True, NOW, 2)),
        (Held("failed", 1), FAILED, Unmoved(False, None, 0)),
        (Held("issued", 1), ISSUED, Unmoved(False, None, 0)),
        (Held("issued", 2), ISSUED, Ignored()),
        (Held("submitting", 1, succeeded=True), ASKED, Unmoved(False, NOW, 2)),
        (Held("submitting", 2, succeeded=True), ISSUED, Ignored()),
    ],
)
def test_what_is_written_follows_from_the_row_and_who_speaks(held: Held, outcome: Outcome, written: object) -> None:
    """An invoice counts from anybody, all else from the holder of the lease only; what has ended or has a successor stays."""
    assert settle(PART, outcome, held, NEXT_STATUS) == written


@pytest.mark.parametrize(
    ("changed", "step"),
    [
        ({}, "query"),
        ({"cancel_wished": True}, "cancel"),
        ({"cancel_wished": True, "last_step": "cancel"}, "query"),
        ({"cancel_wished": True, "cancel_heard": True}, "query"),
        ({"cancel_wished": True, "step": "submit"}, "query"),
        ({"step": "submit"}, "submit"),
        ({"cancel_wished": True, "status": "queued", "step": "submit"}, "submit"),
        ({"cancel_wished": True, "status": "failed"}, "query"),
    ],
)
def test_a_wish_to_cancel_goes_out_until_it_is_heard(changed: dict[str, object], step: str) -> None:
    assert rules.step_of(replace(DUE, **changed)) == step  # type: ignore[arg-type]


def test_what_is_claimed_has_an_epoch_of_its_own() -> None:
    claimed = taken(DUE, "query")
    assert (claimed.step, claimed.tries, claimed.epoch) == ("query", DUE.tries + 1, DUE.epoch + 1)
    assert rules.status_once_claimed(replace(DUE, status="queued")) == "submitting"
    assert rules.status_once_claimed(replace(DUE, status="voided")) == "voided"


def test_what_shall_be_cancelled_does_not_wait_for_quota() -> None:
    refused = replace(PART, reason=QUOTA_EXCEEDED)
    waits = rules.answered(refused, NotFound(), SUBMITTED, cancel_wished=False)
    asked = rules.answered(refused, NotFound(), SUBMITTED, cancel_wished=True)
    assert isinstance(waits, Moved)
    assert waits.status == "waiting_quota"
    assert isinstance(asked, Pending)
    assert (asked.status, asked.outcome.next_step, asked.outcome.due_at) == ("submitting", "query", NOW)


def moved(outcome: Outcome, month: str | None, status: str = "issued") -> MovedPart:
    return MovedPart(replace(SUBMITTED, quota_month=month), status, outcome)


@pytest.mark.parametrize(
    ("moved", "changes"),
    [
        (moved(ISSUED, "202603"), [QuotaChange("ALIYUN", "202603", -100, 100)]),
        (moved(ISSUED, "202602"), [QuotaChange("ALIYUN", "202602", -100), QuotaChange("ALIYUN", "202603", 0, 100)]),
        (moved(ISSUED, None), [QuotaChange("ALIYUN", "202603", 0, 100)]),
        (moved(FAILED, "202603", "failed"), [QuotaChange("ALIYUN", "202603", -100)]),
        (
            moved(Outcome("short"), "202603", "waiting_quota"),
            [QuotaChange("ALIYUN", "202603", -100, ask_soon=True)],
        ),
        (moved(FAILED, None, "failed"), []),
    ],
)
def test_what_was_held_is_used_or_free_again(moved: MovedPart, changes: list[QuotaChange]) -> None:
    assert list(rules.quota_changes(PART, moved)) == changes


def test_what_is_with_the_platform_when_a_month_begins_is_held_in_it() -> None:
    assert rules.carried_over(DUE, "202603") == ()
    assert [(one.month, one.held_net_fen) for one in rules.carried_over(DUE, "202604")] == [
        ("202603", -100),
        ("202604", 100),
    ]
    assert rules.carried_over(replace(DUE, status="failed"), "202604") == ()


WAITING = WaitingPart(1, 2, 3, "ALIYUN", 100, "queued", None, "202603", 99, NOW, None)


@pytest.mark.parametrize(
    ("changed", "status", "pause", "told"),
    [
        ({}, "waiting_quota", LOOK_SECONDS, 1),
        ({"status": "waiting_quota", "notified_month": "202603"}, "waiting_quota", LOOK_SECONDS, 0),
        ({"status": "waiting_quota", "notified_month": "202602"}, "waiting_quota", LOOK_SECONDS, 1),
        ({"status": "waiting_quota", "notified_month": "202603", "left_net_fen": 100}, "queued", 0, 0),
        ({"status": "waiting_quota", "notified_month": "202603", "left_net_fen": None}, "queued", 0, 0),
        ({"status": "waiting_quota", "left_net_fen": 100}, "waiting_quota", LOOK_SECONDS, 1),
    ],
)
def test_a_part_that_is_too_much_waits_and_is_told_once_a_month(
    changed: dict[str, object], status: str, pause: float, told: int
) -> None:
    looked = waiting.look(replace(WAITING, **changed))  # type: ignore[arg-type]
    assert (looked.change.after, looked.due_at, len(looked.messages)) == (status, NOW + timedelta(seconds=pause), told)


def test_each_seller_has_its_platform() -> None:
    usual, other = cast("TaxPlatform", object()), cast("TaxPlatform", object())
    platforms = Platforms(usual, {"ALICOM": other, "ALIYUN_HK": other})
    assert [platforms.of(seller) for seller in ("ALIYUN", "ALICOM", "ALIYUN_HK")] == [usual, other, other]
    assert platforms.each() == [usual, other], "each is opened and closed once"


def test_the_bureaus_digits_become_states_of_ours_and_are_kept_for_show() -> None:
    assert form("F1", "02") == FormTold("F1", FormState.AWAITS_BUYER, "02")
    assert {code: form("F1", code) for code in ("01", "04", "03", "99")} == {
        "01": FormTold("F1", FormState.CONFIRMED, "01"),
        "04": FormTold("F1", FormState.CONFIRMED, "04"),
        "03": FormTold("F1", FormState.AWAITS_SELLER, "03"),
        "99": FormTold("F1", FormState.OTHER, "99"),
    }
    assert form("F1", "07") == FormDied("F1", "07", "RED_FORM_07", text_of("RED_FORM_07").english)


def test_a_form_comes_to_a_refusal_only_when_it_is_dead() -> None:
    assert {f"{state:02d}": f"RED_FORM_{state:02d}" for state in range(5, 14)} == DEAD
    for state in DEAD:
        assert isinstance(form("F1", state), FormDied)
    for state in ("01", "02", "03", "04", "14"):
        assert isinstance(form("F1", state), FormTold)
