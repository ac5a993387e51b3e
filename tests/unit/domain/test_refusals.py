"""One register of refusals: complete, filled in safely, and the only place a code comes from."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from deploy.reference.refusals import REFUSED_BY
from shared.domain import refusals
from shared.domain.refusals import TEXTS, Refusal, platform_text, text_of
from shared.domain.remark import REMARK_MAX

ROOT = Path(__file__).parent.parent.parent.parent
REFUSING = {"Problem", "Refused", "Refusal", "refusal", "rejected", "Finding"}
CODE = re.compile(r"[A-Z][A-Z_0-9]{3,}")
REGISTER = ROOT / "shared/domain/refusals.py"
PROTOCOL = ROOT / "services/invoicing/tax_platforms/adapters/http_json/answers.py"
"""It reads what the platform writes."""
STATUS = {
    **dict.fromkeys(("REMARK_TOO_LONG", "REMARK_BAD_CHARACTER", "REMARK_IRRELEVANT", "BAD_TAX_ID"), 400),
    **dict.fromkeys(("UNAUTHORIZED", "BAD_SIGNATURE"), 401),
    **dict.fromkeys(("ACCOUNT_CLOSED", "NO_INVOICE_PERMISSION"), 403),
    **dict.fromkeys(("NOT_FOUND", "NO_SUCH_SUBJECT"), 404),
    "ACCOUNT_DATA_ERASED": 410,
    "ADDRESS_TOO_LONG": 414,
    "THROTTLED": 429,
    **dict.fromkeys(("NOTHING_SELECTED", "BAD_AS_OF", "BAD_CURSOR"), 422),
    "SERVICE_UNAVAILABLE": 503,
    "NO_ANSWER": 504,
}
ROWS = refusals._register()


def codes_in(path: Path) -> Iterator[tuple[str, str]]:
    """Where a code is written as a constant, and the code."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            refuses = ast.unparse(call.func).rpartition(".")[2] in REFUSING
            by_name = [one.value for one in call.keywords if one.arg in ("code", "reason")]
            for one in [*(call.args[:2] if refuses else ()), *by_name]:
                if isinstance(one, ast.Constant) and isinstance(one.value, str) and CODE.fullmatch(one.value):
                    yield f"{path.relative_to(ROOT)}:{one.lineno}", one.value


def test_every_code_that_somebody_refuses_with_is_in_the_register() -> None:
    paths = [path for folder in ("services", "deploy/sandbox") for path in (ROOT / folder).rglob("*.py")]
    found = [one for path in paths for one in codes_in(path)]
    assert [(where, code) for where, code in found if code not in ROWS] == []
    assert {"RED_FORM_UNKNOWN", "RED_AMOUNTS"} <= {code for _, code in found}, "the sandbox writes codes as constants"


def test_a_service_takes_its_codes_from_the_register() -> None:
    written = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for folder in ("services", "shared/domain")
        for path in (ROOT / folder).rglob("*.py")
        if path not in (REGISTER, PROTOCOL)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ROWS
    ]
    assert written == []


def test_the_ledger_refuses_with_all_of_its_part_of_the_register_and_nothing_else() -> None:
    used = {
        node.attr
        for room in ("reservations", "large_reservations")
        for path in (ROOT / "services/ledger" / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Refusal"
    }
    assert used == {code for code, row in ROWS.items() if row.by == "ledger"}


@pytest.mark.parametrize("code", Refusal)
def test_a_refusal_says_what_was_wrong_and_what_to_do_in_both_languages(code: Refusal) -> None:
    row = ROWS[code]
    assert row.title
    assert row.by in REFUSED_BY
    for text in (row.english, row.advice_english):
        assert text
        assert text == text.strip(" .")
        assert not re.search(r"[\u4e00-\u9fff]", text)
    for text in (row.chinese, row.advice_chinese):
        assert text == text.strip(" 。")
        assert re.search(r"[\u4e00-\u9fff]", text)


@pytest.mark.parametrize("code", Refusal)
def test_the_values_of_a_refusal_are_named_and_no_text_asks_for_another(code: Refusal) -> None:
    row = ROWS[code]
    assert all(name.isidentifier() for name in row.values)
    assert len(set(row.values)) == len(row.values)
    asked = {name for text in TEXTS for _, name, _, _ in Formatter().parse(getattr(row, text)) if name is not None}
    assert asked <= {*row.values}


def test_the_status_of_a_refusal_over_http_stays() -> None:
    assert {code: row.status for code, row in ROWS.items() if row.status != 409} == STATUS


def test_a_problem_reads_as_sentences() -> None:
    told = text_of("INSUFFICIENT_INVOICEABLE", {"need_fen": 2})
    assert told.detail == ("Less is left than was asked for. Ask for no more than what the balance shows as available.")
    assert (told.status, told.title) == (409, "Insufficient invoiceable")


def test_values_stand_in_the_text_as_they_are() -> None:
    told = text_of("TITLE_INCOMPLETE_FOR_SPECIAL", {"missing": ["bank_name", "tax_id"]})
    assert told.english == "a special invoice needs bank_name, tax_id in the title"
    assert text_of("REMARK_IRRELEVANT", {"value": "{急}"}).chinese == "备注会打印在发票上，不应含有“{急}”"


@pytest.mark.parametrize("values", [{}, {"number": None}])
def test_a_value_that_did_not_come_leaves_a_gap(values: dict[str, object]) -> None:
    assert text_of("ALREADY_CREDITED", values).english == "invoice … is credited already"


@pytest.mark.parametrize("code", ["BLUE_STATE", "PLATFORM_REFUSED"])
def test_a_code_of_the_platform_is_told_in_its_words(code: str) -> None:
    told = text_of(code, {"text": "蓝字发票状态{异常}。"})
    assert (told.code, told.status, told.chinese) == (code, 409, "蓝字发票状态{异常}")
    assert told.english.isascii()
    assert told.detail == (
        "The tax platform refused it for a reason of its own: 蓝字发票状态{异常}. Correct it and ask again."
    )


@pytest.mark.parametrize("text", ["", None])
def test_a_code_that_nobody_knows_is_named_when_nothing_else_is_said(text: str | None) -> None:
    told = text_of("BLUE_STATE", {"text": text})
    assert (told.title, told.chinese) == ("Blue state", "税务平台未受理（BLUE_STATE）")
    assert told.detail == "The tax platform refused it for a reason of its own. Correct it and ask again."


@pytest.mark.parametrize("code", ["NOT_FOUND", "CANCELLED", "NO_ANSWER"])
def test_a_code_of_the_platform_never_means_what_it_means_with_us(code: str) -> None:
    told = platform_text(code, {"text": "查无此票"})
    assert (told.code, told.status, told.by, told.chinese) == (code, 409, "tax platform", "查无此票")
    assert platform_text("RED_FORM_05", {"text": "他们拒绝了"}) == text_of("RED_FORM_05")


def test_what_the_texts_say_of_the_remark_is_the_rule() -> None:
    for text in (ROWS["REMARK_TOO_LONG"].english, ROWS["REMARK_TOO_LONG"].chinese):
        assert f" {REMARK_MAX} " in text
