"""Credit notes: what stands against one, and what each of the platform's answers makes of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes import intents
from services.invoicing.credit_notes.intents import AcceptedCreditNote, CreditNoteDecision, CreditNoteIntent, Invoice
from services.invoicing.credit_notes.rules import NEXT_STATUS, ClaimedCreditNote, decide, facts_of
from services.invoicing.idempotency.rules import FirstUse
from services.invoicing.tax_platforms.adapters.http_json.forms import DEAD, form
from services.invoicing.tax_platforms.port import (
    Accepted,
    Answer,
    Failed,
    Issued,
    NotFound,
    Rejected,
    Unknown,
)
from shared.contracts.invoicing import CreditNoteFailed, CreditNoteRequested, InvoiceCredited, RedFormWaits, Share
from shared.domain.calendar import SHANGHAI

NOW = datetime(2026, 3, 13, 10, tzinfo=SHANGHAI)
BLUE, RED = "26332000000000000001", "26332000000000000002"
INVOICE = Invoice(7, 3, "special", 106_000, "issued", None, "open")
ASK = CreditNoteIntent(1, "k1", BLUE)
CREDIT = ClaimedCreditNote(
    account_id=1,
    part_id=7,
    request_id=3,
    reservation_id=3,
    subject="ALIYUN_SERVICE",
    legal_entity="ALIYUN",
    content="ALIYUN/soft",
    tax_percent=6,
    kind="special",
    gross_fen=-106_000,
    net_fen=-100_000,
    tax_fen=-6_000,
    shares=(Share(group_no=1, amount_fen=106_000),),
    lines=(),
    serial="KPR00000000000700010",
    step="query",
    tries=1,
    unanswered=0,
    epoch=1,
    claimed_at=NOW,
    reason=None,
    text=None,
    traceparent=None,
    credit_note_id=5,
    blue_number=BLUE,
    blue_issued_at=NOW - timedelta(days=3),
    red_reason="sales_return",
    remark="",
    requested_form_number="",
    earlier_form=None,
    form_number=None,
    waits_since=None,
    reminded_hours_left=None,
    looked_at=NOW,
)
DOCUMENT = Issued(RED, NOW, -106_000, -100_000, -6_000, "qr", specimen=True)


def refusal(decision: CreditNoteDecision) -> str:
    assert isinstance(decision.answer, Refused), decision
    assert (decision.new, decision.messages) == ((), ())
    return decision.answer.code


def test_one_that_nothing_stands_against_is_taken_and_told() -> None:
    decision = intents.decide(ASK, 5, None, INVOICE)
    assert decision.answer == AcceptedCreditNote(5)
    assert [(new.credit_note_id, new.part_id) for new in decision.new] == [(5, 7)]
    (told,) = decision.messages
    assert isinstance(told, CreditNoteRequested)
    assert (told.number, told.gross_fen, told.request_id) == (BLUE, 106_000, 3)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"account_status": "closed"}, "ACCOUNT_CLOSED"),
        ({"credit": "issued"}, "ALREADY_CREDITED"),
        ({"credit": "requested"}, "ALREADY_CREDITING"),
        ({"credit": "form_pending"}, "ALREADY_CREDITING"),
        ({"status": "quarantined"}, "NOT_CREDITABLE"),
        ({"credit": "quarantined"}, "NOT_CREDITABLE"),
    ],
)
def test_what_the_invoice_is_may_stand_against_it(changed: dict[str, str], code: str) -> None:
    assert refusal(intents.decide(ASK, 5, None, replace(INVOICE, **changed))) == code  # type: ignore[arg-type]


def test_an_invoice_that_the_account_does_not_have_is_not_found() -> None:
    assert refusal(intents.decide(ASK, 5, None, None)) == "NOT_FOUND"


def test_a_special_invoice_that_the_buyer_has_booked_needs_the_buyers_form() -> None:
    recorded = replace(ASK, recorded=True)
    assert refusal(intents.decide(recorded, 5, None, INVOICE)) == "RED_FORM_NUMBER_REQUIRED"
    assert intents.decide(
        replace(recorded, form_number="330126031300000001"), 5, None, INVOICE
    ).answer == AcceptedCreditNote(5)
    assert intents.decide(recorded, 5, None, replace(INVOICE, kind="general")).answer == AcceptedCreditNote(5)


def test_its_remark_is_checked_like_that_of_a_request() -> None:
    assert refusal(intents.decide(replace(ASK, remark="加急"), 5, None, INVOICE)) == "REMARK_IRRELEVANT"


def test_the_same_key_gets_the_first_answer_and_with_other_content_a_conflict() -> None:
    assert intents.decide(ASK, 6, FirstUse(5, ASK.key.digest), None).answer == AcceptedCreditNote(5)
    other = replace(ASK, reason="sales_allowance")
    assert refusal(intents.decide(other, 6, FirstUse(5, ASK.key.digest), INVOICE)) == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        (Accepted(), "unsettled"),
        (Unknown("timeout"), "unsettled"),
        (form("F1", "01"), "form"),
        (form("F1", "02"), "form"),
        (form("F1", "03"), "form"),
        (form("F1", "04"), "form"),
        (form("F1", "16"), "form"),
        *((form("F1", state), "failed") for state in DEAD),
        (Failed("NO", "no"), "failed"),
        (DOCUMENT, "issued"),
        (replace(DOCUMENT, gross_fen=-105_999), "differs"),
    ],
)
def test_what_each_answer_makes_of_it(answer: Answer, event: str) -> None:
    assert decide(CREDIT, answer).event == event


def test_a_state_of_the_form_that_nobody_has_heard_of_is_waited_for() -> None:
    change = decide(CREDIT, form("F1", "99"))
    assert (change.event, change.next_step) == ("form", "query")
    assert change.due_at is not None


def test_a_refusal_is_believed_when_a_query_knows_nothing_of_the_serial() -> None:
    refused = decide(CREDIT, Rejected("RED_FORM_AMOUNT_MISMATCH", "not the full amount"))
    assert (refused.event, refused.due_at) == ("unsettled", NOW)
    confirmed = decide(replace(CREDIT, reason=refused.reason, text=refused.text), NotFound())
    assert (confirmed.event, confirmed.reason) == ("failed", "RED_FORM_AMOUNT_MISMATCH")


def test_the_void_form_of_an_earlier_credit_note_is_not_taken_for_its_own() -> None:
    again = replace(CREDIT, earlier_form="F1")
    assert decide(again, form("F1", "07")).next_step == "submit"
    assert decide(replace(again, reason="RED_FORM_DEAD"), form("F1", "07")).reason == "RED_FORM_DEAD"
    assert decide(again, form("F2", "07")).reason == "RED_FORM_07"
    assert decide(again, form("F1", "04")).event == "form", "it has come back to life"


@pytest.mark.parametrize("status", ["requested", "form_pending", "failed"])
def test_a_red_invoice_is_a_fact_whatever_we_think(status: str) -> None:
    assert NEXT_STATUS[status, "issued"] == "issued"
    assert NEXT_STATUS[status, "differs"] == "quarantined"


def test_nothing_follows_a_red_invoice_and_only_a_document_follows_a_failure() -> None:
    assert {before for before, _ in NEXT_STATUS} == {"requested", "form_pending", "failed"}
    assert {event for before, event in NEXT_STATUS if before == "failed"} == {"issued", "differs"}


@pytest.mark.parametrize(
    ("hours", "told", "left"),
    [
        (0, None, 72),
        (-0.1, None, 72),
        (-0.1, 72, None),
        (1, 72, None),
        (24, 72, 48),
        (24.2, 72, 47),
        (47, 48, None),
        (48, 48, 24),
        (66, 24, 6),
        (70, 6, None),
        (71.5, 24, 0),
        (80, 24, 0),
    ],
)
def test_the_buyer_is_reminded_at_72_48_24_and_6_hours_left_and_told_what_is_really_left(
    hours: float, told: int | None, left: int | None
) -> None:
    """Also by a clock that is behind, and after an outage."""
    waiting = replace(CREDIT, form_number="F1", waits_since=NOW, reminded_hours_left=told)
    made = decide(replace(waiting, looked_at=NOW + timedelta(hours=hours)), form("F1", "02"))
    assert made.hours_left == left
    assert made.waits_since == NOW


def test_another_form_has_72_hours_of_its_own() -> None:
    waiting = replace(CREDIT, form_number="F1", waits_since=NOW - timedelta(hours=50), reminded_hours_left=72)
    made = decide(waiting, form("F2", "02"))
    assert (made.waits_since, made.hours_left) == (NOW, 72)


def test_nobody_is_reminded_of_a_form_that_does_not_wait_for_the_buyer() -> None:
    waiting = replace(CREDIT, waits_since=NOW - timedelta(hours=50), reminded_hours_left=72)
    made = decide(waiting, form("F1", "04"))
    assert (made.waits_since, made.hours_left) == (None, None)


def test_a_lost_answer_does_not_start_the_72_hours_again() -> None:
    since = NOW - timedelta(hours=50)
    assert decide(replace(CREDIT, waits_since=since), Unknown("timeout")).waits_since == since


def test_what_the_world_is_told() -> None:
    """Of an issued one the figures of the blue invoice, which the ledger gives back; of the others why, and how long."""
    (issued,) = facts_of(CREDIT, decide(CREDIT, DOCUMENT), "issued")
    assert isinstance(issued, InvoiceCredited)
    assert (issued.number, issued.red_number, issued.gross_fen, issued.tax_fen) == (BLUE, RED, 106_000, 6_000)
    (failed,) = facts_of(CREDIT, decide(CREDIT, form("F1", "07")), "failed")
    assert isinstance(failed, CreditNoteFailed)
    assert (failed.reason, failed.form_number, failed.number) == ("RED_FORM_07", "F1", BLUE)
    (waits,) = facts_of(CREDIT, decide(CREDIT, form("F1", "02")), "form_pending")
    assert isinstance(waits, RedFormWaits)
    assert (waits.form_number, waits.hours_left) == ("F1", 72)
    assert facts_of(CREDIT, decide(CREDIT, form("F1", "04")), "form_pending") == []
    assert facts_of(CREDIT, decide(CREDIT, DOCUMENT), "requested") == []
