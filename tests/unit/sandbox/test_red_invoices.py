"""Red invoices of the sandbox platform: all of a blue one or nothing, by a form that seller and buyer agree on, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.invoicing.tax_platforms.adapters.http_json.answers import to_query
from services.invoicing.tax_platforms.port import FormState, FormTold, Issued
from tests.unit.sandbox.desk import (
    BLUE,
    DELAY_SECONDS,
    OTHER_RED,
    RED,
    SELLER,
    SERIAL,
    Desk,
    a_draft,
    a_red,
    code,
    form_state,
    with_blue,
)

Change = Callable[[dict[str, Any]], object]


# one draft


def test_a_form_that_nobody_has_to_confirm_is_issued_after_the_usual_delay(red_desk: Desk) -> None:
    assert red_desk.platform.submit_red(a_red()) == {"state": "accepted"}
    assert red_desk.platform.query(RED) == {
        "state": "form",
        "form_number": "33261124000000000001",
        "form_state": "01",
    }
    assert red_desk.platform.form_of(RED) == "33261124000000000001"
    red_desk.wait(DELAY_SECONDS)
    assert red_desk.platform.query(RED) == {
        "state": "issued",
        "number": "26332000000000000002",
        "issued_at": "2026-11-24T10:00:00.300000+08:00",
        "gross_fen": -10_600,
        "net_fen": -10_000,
        "tax_fen": -600,
        "qr": "SPECIMEN 样张,01,31,,26332000000000000002,-106.00,20261124,,",
        "specimen": True,
    }


def test_what_is_told_of_a_red_draft_can_be_understood(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    assert to_query(red_desk.platform.query(RED)) == FormTold("33261124000000000001", FormState.CONFIRMED, "01")
    red_desk.wait()
    assert isinstance(to_query(red_desk.platform.query(RED)), Issued)


def test_the_log_has_the_call_and_the_invoice_with_its_blue_number(red_desk: Desk) -> None:
    before = len(red_desk.rows())
    red_desk.platform.submit_red(a_red())
    red_desk.wait()
    red_desk.platform.settle()
    called, issued = red_desk.rows()[before:]
    assert called == {
        "event": "call",
        "call": "submit",
        "serial": RED,
        "answer": "accepted",
        "at": "2026-11-24T02:00:00+00:00",
    }
    assert issued == {
        "event": "issued",
        "serial": RED,
        "number": "26332000000000000002",
        "gross_fen": -10_600,
        "net_fen": -10_000,
        "tax_fen": -600,
        "at": "2026-11-24T10:00:01+08:00",
        "of": BLUE,
    }
    assert "of" not in red_desk.issued()[0], "of a blue one there is none"


def test_the_blue_invoice_stays_as_it_is_and_no_quota_changes(red_desk: Desk) -> None:
    quota = (SELLER["tax_id"], "202611")
    before = red_desk.platform.query(SERIAL), red_desk.platform.quota(*quota)
    red_desk.platform.submit_red(a_red())
    red_desk.wait()
    assert red_desk.states(RED) == "issued"
    assert (red_desk.platform.query(SERIAL), red_desk.platform.quota(*quota)) == before


@pytest.mark.parametrize(("remark", "state"), [("", "01"), ("BUYER_TICKED", "04"), ("BUYER_CONFIRMS", "04")])
def test_a_test_may_issue_it_at_once_and_choose_the_number(remark: str, state: str, red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red(remark=remark))
    for _ in range(2):
        red_desk.platform.finish(RED, "issued", number="26332000000000000099")
    red_desk.wait(100 * 3600)
    assert red_desk.platform.query(RED)["number"] == "26332000000000000099"
    assert red_desk.platform.ended == [RED]
    assert len(red_desk.issued()) == 2
    assert red_desk.platform.set_form(red_desk.platform.form_of(RED), "09")["form_state"] == state, "taken as confirmed"


def test_a_red_draft_cannot_be_cancelled_and_it_is_no_blue_invoice(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    assert red_desk.platform.cancel(RED) == {"state": "too_late"}
    red_desk.wait()
    assert red_desk.states(RED) == "issued"
    assert code(red_desk.platform.submit_red(a_red(OTHER_RED, blue_number="26332000000000000002"))) == "BLUE_UNKNOWN"


def test_an_unknown_serial_has_no_form(red_desk: Desk) -> None:
    assert [red_desk.platform.form_of(serial) for serial in (RED, SERIAL)] == ["", ""]


# what is refused

WRONG: dict[str, tuple[str, str, Change]] = {
    "a serial of another form": ("FORMAT", "'r-1'", lambda red: red.update(serial="r-1")),
    "a number that is none": ("FORMAT", "'17'", lambda red: red.update(blue_number="17")),
    "a seller that is none": ("FORMAT", "'P'", lambda red: red.update(seller_tax_id="P")),
    "an unknown reason": ("FORMAT", "'boredom'", lambda red: red.update(reason="boredom")),
    "no lines": ("FORMAT", "lines", lambda red: red.update(lines=[])),
    "a line without its tax": ("FORMAT", "lines", lambda red: red["lines"][0].pop("tax_fen")),
    "money that is no integer": ("FORMAT", "-106.0", lambda red: red.update(gross_fen=-106.0)),
    "no remark": ("FORMAT", "remark", lambda red: red.pop("remark")),
    "a form number that is none": ("FORMAT", "'3301-1'", lambda red: red.update(form_number="3301-1")),
    "a form number too long": ("FORMAT", "111", lambda red: red.update(form_number="1" * 41)),
    "a number nobody knows": ("BLUE_UNKNOWN", "9" * 20, lambda red: red.update(blue_number="9" * 20)),
    "the invoice of another seller": (
        "BLUE_UNKNOWN",
        "91110108000000002D",
        lambda red: red.update(seller_tax_id="91110108000000002D"),
    ),
    "a part of it": (
        "RED_AMOUNTS",
        "-5300",
        lambda red: (
            red.update(gross_fen=-5_300, net_fen=-5_000, tax_fen=-300),
            red["lines"][0].update(net_fen=-5_000, tax_fen=-300),
        ),
    ),
    "the amounts of a blue one": (
        "RED_AMOUNTS",
        "10600",
        lambda red: red.update(gross_fen=10_600, net_fen=10_000, tax_fen=600),
    ),
    "a fen moved from net to tax": ("RED_AMOUNTS", "-9999", lambda red: red.update(net_fen=-9_999, tax_fen=-601)),
    "lines that sum to another net": ("RED_AMOUNTS", "-9999", lambda red: red["lines"][0].update(net_fen=-9_999)),
    "lines that sum to another tax": ("RED_AMOUNTS", "-601", lambda red: red["lines"][0].update(tax_fen=-601)),
    "a line for more than nothing": (
        "RED_AMOUNTS",
        "is 1,",
        lambda red: red.update(
            lines=[
                red["lines"][0] | {"net_fen": -10_001},
                red["lines"][0] | {"net_fen": 1, "tax_fen": 0},
            ]
        ),
    ),
    "a form nobody knows": ("RED_FORM_UNKNOWN", "3301", lambda red: red.update(form_number="3301")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_draft_that_breaks_a_rule_is_refused_with_the_value_and_leaves_its_serial_free(
    what: str, red_desk: Desk
) -> None:
    expected, value, change = WRONG[what]
    red = a_red()
    change(red)
    answer = red_desk.platform.submit_red(red)
    assert code(answer) == expected
    assert value in answer["text"]
    assert red_desk.states(RED) == "not_found"
    assert red_desk.platform.submit_red(a_red()) == {"state": "accepted"}
    assert red_desk.platform.form_of(RED) == "33261124000000000001", "a refusal enters no form"


@pytest.mark.parametrize("thing", [None, [], "draft", 7, {}])
def test_what_is_no_draft_is_refused(thing: object, desk: Desk) -> None:
    assert code(desk.platform.submit_red(thing)) == "FORMAT"


@pytest.mark.parametrize("reason", ["issued_in_error", "sales_return", "service_stopped", "sales_allowance"])
def test_there_are_four_reasons(reason: str, red_desk: Desk) -> None:
    assert red_desk.platform.submit_red(a_red() | {"reason": reason}) == {"state": "accepted"}


def test_a_line_may_be_for_nothing(red_desk: Desk) -> None:
    red = a_red()
    red["lines"].append(red["lines"][0] | {"net_fen": 0, "tax_fen": 0})
    assert red_desk.platform.submit_red(red) == {"state": "accepted"}


def test_a_blue_invoice_that_is_not_issued_yet_is_unknown(desk: Desk) -> None:
    desk.platform.submit(a_draft())
    assert code(desk.platform.submit_red(a_red())) == "BLUE_UNKNOWN"
    desk.wait()
    assert desk.platform.submit_red(a_red()) == {"state": "accepted"}, "due is issued, though nobody asked"


def test_what_was_issued_counts_not_what_was_submitted(desk: Desk) -> None:
    with_blue(desk, remark="AMOUNT_SHIFT")
    assert code(desk.platform.submit_red(a_red())) == "RED_AMOUNTS"


@pytest.mark.parametrize("wait_seconds", [0.0, 1.0])
def test_a_blue_invoice_has_one_live_red_draft_or_one_red_invoice(wait_seconds: float, red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.wait(wait_seconds)
    answer = red_desk.platform.submit_red(a_red(OTHER_RED))
    assert code(answer) == "BLUE_ALREADY_RED"
    assert RED in answer["text"]
    assert red_desk.states(OTHER_RED) == "not_found"


def test_once_the_form_is_dead_another_serial_may_come(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.platform.set_form(red_desk.platform.form_of(RED), "09")
    assert red_desk.platform.submit_red(a_red(OTHER_RED)) == {"state": "accepted"}
    assert code(red_desk.platform.submit_red(a_red())) == "BLUE_ALREADY_RED"
    red_desk.wait()
    assert (form_state(red_desk), form_state(red_desk, OTHER_RED)) == ("09", "issued")


# one serial


@pytest.mark.parametrize("wait_seconds", [0.0, 1.0])
def test_the_same_draft_again_is_a_duplicate_and_another_one_is_refused(wait_seconds: float, red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.wait(wait_seconds)
    assert red_desk.platform.submit_red(a_red()) == {"state": "duplicate"}
    answer = red_desk.platform.submit_red(a_red(remark="another"))
    assert code(answer) == "SERIAL_REUSED"
    assert RED in answer["text"]
    red_desk.wait()
    assert red_desk.states(RED) == "issued"
    assert len(red_desk.issued()) == 2


@pytest.mark.parametrize("remark", ["", "with other words"])
def test_after_its_form_died_a_serial_gets_a_new_one_and_one_invoice_at_most(remark: str, red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    first = red_desk.platform.form_of(RED)
    red_desk.platform.set_form(first, "08")
    assert red_desk.platform.submit_red(a_red(remark=remark)) == {"state": "accepted"}
    assert red_desk.platform.form_of(RED) == "33261124000000000002" != first
    assert red_desk.platform.set_form(first, "04")["form_state"] == "08", "what is dead stays dead"
    assert red_desk.platform.submit_red(a_red(remark=remark)) == {"state": "duplicate"}
    red_desk.wait()
    red_desk.platform.settle()
    assert [row["serial"] for row in red_desk.issued()] == [SERIAL, RED]
    assert red_desk.platform.ended == [RED, RED], "of the form, and of the invoice"


def test_a_refused_draft_leaves_the_dead_form_of_its_serial(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.platform.set_form(red_desk.platform.form_of(RED), "08")
    assert code(red_desk.platform.submit_red(a_red(blue_number="9" * 20))) == "BLUE_UNKNOWN"
    assert form_state(red_desk) == "08"


def test_blue_and_red_drafts_share_their_serials(red_desk: Desk) -> None:
    assert code(red_desk.platform.submit_red(a_red(SERIAL))) == "SERIAL_REUSED"
    red_desk.platform.submit_red(a_red())
    assert code(red_desk.platform.submit(a_draft(RED))) == "SERIAL_REUSED"
    red_desk.platform.set_form(red_desk.platform.form_of(RED), "08")
    assert code(red_desk.platform.submit(a_draft(RED))) == "SERIAL_REUSED"


def test_an_invoice_stays_as_it_is_however_often_and_late_it_is_asked_for(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.wait()
    assert red_desk.platform.query(RED) == red_desk.platform.query(RED)
    red_desk.at += timedelta(days=400)
    assert red_desk.platform.query(RED)["number"] == "26332000000000000002"
