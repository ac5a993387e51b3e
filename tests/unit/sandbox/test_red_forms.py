"""Red confirmation forms of the sandbox platform: who enters one, who has to confirm it, and what it dies of."""

import pytest

from tests.unit.sandbox.desk import (
    BLUE,
    BUYERS_FORM,
    DELAY_SECONDS,
    OTHER_RED,
    RED,
    SERIAL,
    Desk,
    a_draft,
    a_red,
    code,
    form_state,
    with_blue,
)

HOUR = 3600.0
CONFIRMED = ["01", "04"]
DEAD = ["05", "06", "07", "08", "09", "10", "11", "12", "13"]


# what the buyer does with the seller's form


@pytest.mark.parametrize("trigger", ["BUYER_TICKED", "BUYER_BOOKED"])
def test_a_form_that_the_buyer_does_not_confirm_is_void_after_exactly_72_hours(trigger: str, desk: Desk) -> None:
    with_blue(desk, remark=trigger).platform.submit_red(a_red())
    assert form_state(desk) == "02"
    desk.wait(72 * HOUR - 1)
    assert form_state(desk) == "02"
    assert desk.platform.ended == []
    desk.wait(1)
    assert form_state(desk) == "07"
    assert desk.platform.set_form(desk.platform.form_of(RED), "04")["form_state"] == "07", "too late"
    desk.wait()
    assert form_state(desk) == "07"
    assert desk.platform.ended == [RED]


@pytest.mark.parametrize("state", CONFIRMED)
def test_a_form_that_is_confirmed_in_time_is_issued_after_the_usual_delay(state: str, desk: Desk) -> None:
    with_blue(desk, remark="BUYER_TICKED").platform.submit_red(a_red())
    desk.wait(71 * HOUR)
    assert desk.platform.set_form(desk.platform.form_of(RED), state)["form_state"] == state
    assert form_state(desk) == state
    desk.wait(DELAY_SECONDS)
    assert form_state(desk) == "issued"
    desk.wait(72 * HOUR)
    assert form_state(desk) == "issued"
    assert desk.platform.ended == [RED]


def test_a_buyer_who_refuses_does_so_after_the_usual_delay(desk: Desk) -> None:
    with_blue(desk, remark="BUYER_REFUSES").platform.submit_red(a_red())
    assert form_state(desk) == "02"
    desk.wait(DELAY_SECONDS)
    assert form_state(desk) == "05"
    assert desk.platform.ended == [RED]


def test_a_buyer_who_confirms_does_so_after_the_usual_delay_and_one_more_issues(desk: Desk) -> None:
    with_blue(desk, remark="BUYER_CONFIRMS").platform.submit_red(a_red())
    seen = [form_state(desk)]
    for _ in range(2):
        desk.wait(DELAY_SECONDS)
        seen.append(form_state(desk))
    assert seen == ["02", "04", "issued"]


def test_steps_that_are_due_together_are_made_together(desk: Desk) -> None:
    with_blue(desk, remark="BUYER_CONFIRMS").platform.submit_red(a_red())
    desk.wait(HOUR)
    assert form_state(desk) == "issued"


@pytest.mark.parametrize("trigger", ["BUYER_TICKED", "BUYER_BOOKED", "BUYER_REFUSES", "BUYER_CONFIRMS"])
def test_a_trigger_stands_in_the_buyers_name_or_in_either_remark_and_does_nothing_to_the_blue_one(
    trigger: str, desk: Desk
) -> None:
    for number, (name, blue_remark, red_remark) in enumerate(
        [(f"{trigger} 公司", "", ""), ("公司", trigger, ""), ("公司", "", trigger)], 1
    ):
        blue, red = f"B{number:019d}", f"R{number:019d}"
        desk.platform.submit(a_draft(blue, name=name, remark=blue_remark))
        desk.wait()
        issued = desk.platform.query(blue)
        assert (issued["state"], issued["gross_fen"]) == ("issued", 10_600)
        desk.platform.submit_red(a_red(red, remark=red_remark, blue_number=issued["number"]))
        assert form_state(desk, red) == "02"


def test_the_trigger_of_the_red_draft_comes_before_the_blue_ones_and_beside_any_other(desk: Desk) -> None:
    with_blue(desk, remark="SLOW BUYER_TICKED").platform.submit_red(a_red(remark="TIMEOUT_LOST BUYER_REFUSES"))
    desk.wait()
    assert form_state(desk) == "05"


# what anybody does with it


@pytest.mark.parametrize("state", DEAD)
def test_a_form_that_ends_never_becomes_an_invoice(state: str, red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    for _ in range(2):
        assert red_desk.platform.set_form(red_desk.platform.form_of(RED), state)["form_state"] == state
    red_desk.platform.finish(RED, "issued")
    red_desk.wait(100 * HOUR)
    assert form_state(red_desk) == state
    assert red_desk.platform.ended == [RED]
    assert [row["serial"] for row in red_desk.issued()] == [SERIAL]


def test_an_invoice_that_exists_cannot_be_taken_back(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.wait()
    assert red_desk.platform.set_form(red_desk.platform.form_of(RED), "09")["form_state"] == "01"
    assert form_state(red_desk) == "issued"
    assert red_desk.platform.ended == [RED]


def test_a_confirmation_that_is_said_again_delays_nothing(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    red_desk.wait(DELAY_SECONDS / 2)
    red_desk.platform.set_form(red_desk.platform.form_of(RED), "01")
    red_desk.wait(DELAY_SECONDS / 2)
    assert form_state(red_desk) == "issued"


def test_a_form_is_set_to_a_state_there_is_and_has_to_be_known(red_desk: Desk) -> None:
    assert red_desk.platform.set_form("3301", "04") == {"state": "not_found"}
    red_desk.platform.submit_red(a_red())
    form = red_desk.platform.form_of(RED)
    for state in ("", "00", "14", "4"):
        answer = red_desk.platform.set_form(form, state)
        assert code(answer) == "FORMAT"
        assert repr(state) in answer["text"]
    assert form_state(red_desk) == "01"


# forms that the buyer enters


@pytest.mark.parametrize("state", ["03", *CONFIRMED])
def test_a_draft_with_the_buyers_form_confirms_it_and_is_issued_after_the_usual_delay(
    state: str, red_desk: Desk
) -> None:
    told = red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600, state)
    assert told == {"state": "form", "form_number": BUYERS_FORM, "form_state": state}
    assert red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM)) == {"state": "accepted"}
    assert red_desk.platform.query(RED) == told | {"form_state": "04"}
    assert red_desk.platform.form_of(RED) == BUYERS_FORM
    red_desk.wait(DELAY_SECONDS)
    assert form_state(red_desk) == "issued"
    assert red_desk.platform.ended == [RED]


def test_a_form_awaits_the_seller_unless_something_else_is_said(red_desk: Desk) -> None:
    assert red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)["form_state"] == "03"


def test_a_trigger_means_the_sellers_form_not_the_buyers(desk: Desk) -> None:
    with_blue(desk, remark="BUYER_REFUSES").platform.enter_form(BLUE, BUYERS_FORM, -10_600)
    desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    desk.wait()
    assert form_state(desk) == "issued"


def test_a_form_that_awaits_the_buyer_awaits_it_with_a_draft_too(red_desk: Desk) -> None:
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600, "02")
    red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    red_desk.wait()
    assert form_state(red_desk) == "02"
    red_desk.platform.set_form(BUYERS_FORM, "04")
    red_desk.wait()
    assert form_state(red_desk) == "issued"


def test_a_form_without_a_draft_waits_and_nobody_is_told_of_its_end(red_desk: Desk) -> None:
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)
    assert red_desk.platform.set_form(BUYERS_FORM, "04")["form_state"] == "04"
    red_desk.wait(HOUR)
    assert red_desk.storage.due_forms(red_desk.at) == []
    red_desk.platform.set_form(BUYERS_FORM, "06")
    assert red_desk.platform.ended == []
    assert len(red_desk.issued()) == 1


def test_a_form_over_another_invoice_is_unknown(red_desk: Desk) -> None:
    red_desk.platform.enter_form("26332000000000000077", BUYERS_FORM, -10_600)
    answer = red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    assert code(answer) == "RED_FORM_UNKNOWN"
    assert BUYERS_FORM in answer["text"]


@pytest.mark.parametrize("state", DEAD)
def test_a_dead_form_is_refused(state: str, red_desk: Desk) -> None:
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)
    red_desk.platform.set_form(BUYERS_FORM, state)
    answer = red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    assert code(answer) == "RED_FORM_DEAD"
    assert state in answer["text"]
    assert red_desk.states(RED) == "not_found"


@pytest.mark.parametrize("gross_fen", [-10_599, 10_600])
def test_a_form_for_another_amount_is_refused_with_both_and_stays_free(gross_fen: int, red_desk: Desk) -> None:
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, gross_fen)
    answer = red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    assert code(answer) == "RED_FORM_AMOUNT_MISMATCH"
    assert f"{gross_fen} fen" in answer["text"]
    assert "for 10600 fen" in answer["text"]
    red_desk.platform.enter_form(BLUE, "3301", -10_600)
    assert red_desk.platform.submit_red(a_red(form_number="3301")) == {"state": "accepted"}


def test_a_form_serves_one_draft(red_desk: Desk) -> None:
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)
    red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM))
    assert code(red_desk.platform.submit_red(a_red(OTHER_RED, BUYERS_FORM))) == "BLUE_ALREADY_RED"


def test_after_a_dead_form_of_the_seller_the_buyers_may_serve_under_the_same_serial(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red(remark="BUYER_REFUSES"))
    red_desk.wait()
    assert form_state(red_desk) == "05"
    red_desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)
    assert red_desk.platform.submit_red(a_red(form_number=BUYERS_FORM)) == {"state": "accepted"}
    red_desk.wait()
    assert form_state(red_desk) == "issued"


def test_a_form_number_is_used_once(red_desk: Desk) -> None:
    red_desk.platform.submit_red(a_red())
    form = red_desk.platform.form_of(RED)
    answer = red_desk.platform.enter_form(BLUE, form, -10_600)
    assert code(answer) == "RED_FORM_KNOWN"
    assert form in answer["text"]


@pytest.mark.parametrize(
    ("blue", "form", "state"), [("17", BUYERS_FORM, "03"), (BLUE, "", "03"), (BLUE, "3301-1", "03"), (BLUE, "1", "14")]
)
def test_a_form_that_cannot_be_is_refused(blue: str, form: str, state: str, red_desk: Desk) -> None:
    assert code(red_desk.platform.enter_form(blue, form, -10_600, state)) == "FORMAT"
