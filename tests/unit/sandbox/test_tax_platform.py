"""The sandbox platform keeps the promises real ones make: one serial, one answer, one invoice, and no number twice."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.direct import DirectTaxPlatform, scripted
from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.memory import Memory
from services.invoicing.tax_platforms.port import (
    Accepted,
    BlueDraft,
    DraftLine,
    Duplicate,
    Failed,
    Issued,
    NotFound,
    Party,
    Rejected,
    Unknown,
)
from tests.unit.sandbox.desk import BANK, SELLER, SERIAL, Desk, a_draft

Change = Callable[[dict[str, Any]], object]


def test_a_draft_is_accepted_at_once_and_issued_once_its_time_has_come(desk: Desk) -> None:
    assert desk.platform.submit(a_draft()) == {"state": "accepted"}
    assert desk.states() == "processing"
    desk.wait(0.3)
    answer = desk.platform.query(SERIAL)
    assert answer["number"] == "26332000000000000001"
    assert (answer["gross_fen"], answer["net_fen"], answer["tax_fen"]) == (10_600, 10_000, 600)
    assert answer["specimen"] is True
    assert answer["qr"] == "SPECIMEN 样张,01,31,,26332000000000000001,106.00,20261124,,"


def test_the_same_serial_gets_the_same_invoice_however_often_it_comes(desk: Desk) -> None:
    first = [desk.platform.submit(a_draft())["state"], desk.platform.submit(a_draft())["state"]]
    desk.wait()
    seen = [desk.platform.query(SERIAL) for _ in range(3)]
    assert desk.platform.submit(a_draft()) == {"state": "duplicate"}
    assert first == ["accepted", "duplicate"]
    assert seen[0] == seen[1] == seen[2]
    assert len(desk.issued()) == 1


def test_another_draft_under_a_used_serial_is_refused_and_changes_nothing(desk: Desk) -> None:
    desk.platform.submit(a_draft())
    assert desk.platform.submit(a_draft(remark="another"))["code"] == "SERIAL_REUSED"
    desk.wait()
    assert desk.states() == "issued"


def test_a_dead_serial_stays_dead(desk: Desk) -> None:
    draft = a_draft(name="FAIL_BUYER_TAXNO 有限公司")
    assert desk.platform.submit(draft)["state"] == "accepted"
    desk.wait()
    failed = desk.platform.query(SERIAL)
    assert (failed["state"], failed["code"], failed["text"]) == ("failed", "BUYER_TAX_ID", "购方税号有误")
    assert desk.platform.submit(draft) == {"state": "duplicate"}
    assert desk.platform.submit(a_draft())["code"] == "SERIAL_REUSED"
    desk.wait()
    assert desk.states() == "failed"
    assert desk.issued() == []


def test_numbers_follow_the_year_of_issue_in_shanghai_and_are_never_used_twice(desk: Desk) -> None:
    desk.at = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
    desk.platform.submit(a_draft("S0000000000000000001"))
    desk.platform.submit(a_draft("S0000000000000000002") | {"seller": SELLER | BANK | {"tax_id": "91110108000000002D"}})
    desk.wait(0.5)
    desk.platform.settle()
    desk.platform.submit(a_draft("S0000000000000000003"))
    desk.wait(1)
    desk.platform.settle()
    assert [row["number"] for row in desk.issued()] == [
        "26332000000000000001",
        "26112000000000000002",
        "27332000000000000003",
    ]


def test_the_log_has_every_call_and_every_invoice_in_the_words_the_checker_reads(desk: Desk) -> None:
    desk.platform.submit(a_draft())
    desk.wait()
    desk.platform.query(SERIAL)
    desk.platform.cancel(SERIAL)
    submitted, issued, asked, cancelled = desk.rows()
    assert submitted == {
        "event": "call",
        "call": "submit",
        "serial": SERIAL,
        "answer": "accepted",
        "at": "2026-11-24T02:00:00+00:00",
    }
    assert issued == {
        "event": "issued",
        "serial": SERIAL,
        "number": "26332000000000000001",
        "gross_fen": 10_600,
        "net_fen": 10_000,
        "tax_fen": 600,
        "at": "2026-11-24T10:00:01+08:00",
    }
    assert (asked["call"], asked["answer"]) == ("query", "issued")
    assert (cancelled["call"], cancelled["answer"]) == ("cancel", "too_late")


WRONG: dict[str, tuple[str, Change]] = {
    "the parts of the total": ("TOTALS", lambda draft: draft.update(net_fen=10_001)),
    "the sum of the lines": ("TOTALS", lambda draft: draft["lines"].append(copy.copy(draft["lines"][0]))),
    "nothing to pay": ("TOTALS", lambda draft: draft.update(gross_fen=0, net_fen=-600)),
    "a tax 7 fen off": (
        "TOLERANCE",
        lambda draft: (draft.update(gross_fen=10_607, tax_fen=607), draft["lines"][0].update(tax_fen=607)),
    ),
    "a special invoice without a tax id": ("BUYER_TAX_ID", lambda draft: draft["buyer"].update(tax_id="")),
    "nobody to pay": ("BUYER_NAME", lambda draft: draft["buyer"].update(name="")),
    "an unknown seller": ("SELLER_TAX_ID", lambda draft: draft["seller"].update(tax_id="P")),
    "a character outside GBK": ("CHARACTER", lambda draft: draft.update(remark="🧧")),
    "no lines": ("FORMAT", lambda draft: draft.update(lines=[])),
    "a line without its rate": ("FORMAT", lambda draft: draft["lines"][0].pop("tax_percent")),
    "money that is no integer": ("FORMAT", lambda draft: draft.update(gross_fen=106.0)),
    "a serial of another form": ("FORMAT", lambda draft: draft.update(serial="s-1")),
    "an unknown kind": ("FORMAT", lambda draft: draft.update(kind="red")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_draft_that_breaks_a_rule_is_refused_and_leaves_its_serial_free(what: str, desk: Desk) -> None:
    code, change = WRONG[what]
    draft = a_draft()
    change(draft)
    answer = desk.platform.submit(draft)
    assert (answer["state"], answer["code"]) == ("rejected", code)
    assert desk.states() == "not_found"
    assert desk.platform.submit(a_draft()) == {"state": "accepted"}


@pytest.mark.parametrize("thing", [None, [], "draft", 7, {}])
def test_what_is_no_draft_is_refused(thing: object, desk: Desk) -> None:
    assert desk.platform.submit(thing)["code"] == "FORMAT"


def many_lines(count: int, tax_fen: int) -> dict[str, Any]:
    line = a_draft()["lines"][0] | {"net_fen": 100, "tax_fen": tax_fen}
    net, tax = 100 * count, tax_fen * count
    return a_draft() | {"lines": [line] * count, "gross_fen": net + tax, "net_fen": net, "tax_fen": tax}


def test_a_line_may_be_six_fen_off_and_all_of_them_127(desk: Desk) -> None:
    assert desk.platform.submit(many_lines(21, 12))["state"] == "accepted"  # 21 x 6 = 126
    refused = desk.platform.submit(many_lines(22, 12) | {"serial": "S0000000000000000002"})  # 22 x 6 = 132
    assert refused["code"] == "TOLERANCE"


def test_a_general_invoice_needs_no_tax_id(desk: Desk) -> None:
    draft = a_draft() | {"kind": "general"}
    draft["buyer"]["tax_id"] = ""
    assert desk.platform.submit(draft) == {"state": "accepted"}


def test_a_slow_one_stays_in_work_for_a_day_and_can_be_cancelled(desk: Desk) -> None:
    desk.platform.submit(a_draft(remark="SLOW"))
    desk.wait(24 * 3600)
    assert desk.states() == "processing"
    assert desk.platform.cancel(SERIAL) == {"state": "accepted"}
    assert desk.platform.cancel(SERIAL) == {"state": "accepted"}
    desk.wait(24 * 3600)
    assert desk.states() == "cancelled"
    assert desk.platform.submit(a_draft(remark="SLOW")) == {"state": "duplicate"}
    assert desk.issued() == []


@pytest.mark.parametrize(("trigger", "answer"), [("CANCEL_LOSE", "too_late"), ("CANCEL_ACK_BUT_ISSUED", "accepted")])
def test_what_a_cancel_answers_decides_nothing(trigger: str, answer: str, desk: Desk) -> None:
    desk.platform.submit(a_draft(remark=trigger))
    assert desk.platform.cancel(SERIAL) == {"state": answer}
    desk.wait()
    assert desk.states() == "issued"


def test_a_cancel_of_what_nobody_knows_or_what_is_issued_is_too_late(desk: Desk) -> None:
    assert desk.platform.cancel(SERIAL) == {"state": "too_late"}
    desk.platform.submit(a_draft())
    desk.wait()
    assert desk.platform.cancel(SERIAL) == {"state": "too_late"}
    assert desk.states() == "issued"


def test_a_shifted_amount_is_told_and_logged_alike(desk: Desk) -> None:
    desk.platform.submit(a_draft(name="AMOUNT_SHIFT 公司"))
    desk.wait()
    assert desk.platform.query(SERIAL)["gross_fen"] == desk.issued()[0]["gross_fen"] == 10_601


def test_what_was_not_kept_as_a_whole_is_undone(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    platform = Platform(disk, lambda: datetime(2026, 11, 24, tzinfo=UTC), 0.3)

    def break_off() -> None:
        with disk.kept():
            platform.submit(a_draft())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert disk.rows() == []
    with disk.kept():
        platform.submit(a_draft())
    disk.close()
    again = Disk(tmp_path)
    assert again.get(SERIAL) is not None
    assert len(again.rows()) == 1
    again.close()


# without a wire between


def a_blue_draft(remark: str = "") -> BlueDraft:
    draft = a_draft(remark=remark)
    parties = {role: Party(**draft[role]) for role in ("seller", "buyer")}
    return BlueDraft(**draft | parties | {"lines": tuple(DraftLine(**line) for line in draft["lines"])})


def direct(*faults: str) -> tuple[DirectTaxPlatform, Memory]:
    memory = Memory()
    platform = Platform(memory, lambda: datetime(2026, 11, 24, tzinfo=UTC), 0.0)
    return DirectTaxPlatform(platform, scripted(faults)), memory


async def test_a_lost_answer_is_unknown_and_the_invoice_comes() -> None:
    platform, _ = direct("lose_answer")
    assert isinstance(await platform.submit(a_blue_draft()), Unknown)
    assert isinstance(await platform.query(SERIAL), Issued)


@pytest.mark.parametrize("fault", ["lose_request", "error_5xx"])
async def test_a_lost_request_is_unknown_and_nothing_comes_of_it(fault: str) -> None:
    platform, memory = direct(fault)
    assert isinstance(await platform.submit(a_blue_draft()), Unknown)
    assert memory.rows == []
    assert await platform.query(SERIAL) == NotFound()
    assert await platform.submit(a_blue_draft()) == Accepted()
    assert await platform.submit(a_blue_draft()) == Duplicate()


@pytest.mark.parametrize(("trigger", "found"), [("TIMEOUT_LOST", NotFound), ("TIMEOUT_ISSUED", Issued)])
async def test_a_trigger_loses_the_first_submission_or_its_answer(trigger: str, found: type) -> None:
    platform, _ = direct()
    draft = a_blue_draft(remark=trigger)
    assert isinstance(await platform.submit(draft), Unknown)
    assert isinstance(await platform.query(SERIAL), found)
    assert isinstance(await platform.submit(draft), Accepted | Duplicate)
    assert isinstance(await platform.query(SERIAL), Issued)


async def test_refusals_reach_the_caller_with_code_and_text() -> None:
    platform, _ = direct()
    assert await platform.submit(a_blue_draft(remark="🧧")) == Rejected("CHARACTER", "'🧧' cannot be printed")
    await platform.submit(a_blue_draft(remark="FAIL_BUYER_TAXNO"))
    assert await platform.query(SERIAL) == Failed("BUYER_TAX_ID", "购方税号有误")


QUOTA = (SELLER["tax_id"], "202611")


def told(desk: Desk) -> tuple[int, int]:
    answer = desk.platform.quota(*QUOTA)
    return answer["limit_net_fen"], answer["used_net_fen"]


def test_a_quota_counts_what_is_issued_and_refuses_what_is_too_much(desk: Desk) -> None:
    desk.platform.set_quota(*QUOTA, 25_000, 5_000)
    assert [desk.platform.submit(a_draft(f"S{number:019d}"))["state"] for number in range(2)] == [
        "accepted",
        "accepted",
    ]
    refused = desk.platform.submit(a_draft("S0000000000000000009"))
    assert (refused["state"], refused["code"]) == ("rejected", "QUOTA_EXCEEDED")
    assert "0 fen" in refused["text"]
    assert told(desk) == (25_000, 5_000), "nothing is issued yet"
    desk.wait()
    desk.platform.settle()
    assert told(desk) == (25_000, 25_000)


def test_what_is_cancelled_or_refused_uses_no_quota(desk: Desk) -> None:
    desk.platform.set_quota(*QUOTA, 10_000, 0)
    desk.platform.submit(a_draft())
    desk.platform.cancel(SERIAL)
    desk.platform.submit(a_draft("S0000000000000000002", remark="FAIL_BUYER_TAXNO"))
    desk.wait()
    desk.platform.settle()
    assert told(desk) == (10_000, 0)
    assert desk.platform.submit(a_draft("S0000000000000000003"))["state"] == "accepted"


def test_a_refusal_for_quota_has_no_effect_and_the_next_month_is_another(desk: Desk) -> None:
    desk.platform.set_quota(*QUOTA, 0, 0)
    assert desk.platform.submit(a_draft())["state"] == "rejected"
    assert desk.platform.query(SERIAL) == {"state": "not_found"}
    desk.at = datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert desk.platform.submit(a_draft())["state"] == "accepted", "in Shanghai it is December"
