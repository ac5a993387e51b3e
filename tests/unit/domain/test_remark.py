"""What customers may write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.remark import CONTROL, REMARK_MAX, check_remark, not_in_gbk, safe_in_header

TOO_LONG, BAD, IRRELEVANT = "REMARK_TOO_LONG", "REMARK_BAD_CHARACTER", "REMARK_IRRELEVANT"


@pytest.mark.parametrize(
    "remark",
    [
        "",
        "202601-202603",
        "账期 202601—202603，合同号 HT-2026/001（续）",
        "原发票号码 26332000000123456789",
        "应急管理局云平台",
        "市急救中心，急诊系统",
        "resurgents",
        "货" * REMARK_MAX,
    ],
)
def test_an_ordinary_remark_is_printed_as_it_is(remark: str) -> None:
    assert check_remark(remark) == []


@pytest.mark.parametrize(
    ("remark", "code", "value"),
    [
        ("货" * (REMARK_MAX + 1), TOO_LONG, "201"),
        ("a<b", BAD, "<"),
        ("<br>", BAD, "<>"),
        ("一\n二", BAD, "U+000A"),
        ("tab\there", BAD, "U+0009"),
        ("\x00", BAD, "U+0000"),
        ("\x85", BAD, "U+0085"),
        ("zero\u200bwidth", BAD, "U+200B"),
        ("\u202ereversed", BAD, "U+202E"),
        ("smile 😀😀", BAD, "😀"),
        ("half \ud800 a pair", BAD, "U+D800"),
        ("2€", BAD, "€"),
        ("urgent", IRRELEVANT, "urgent"),
        ("URGENTLY needed", IRRELEVANT, "urgently"),
        ("请urgent处理", IRRELEVANT, "urgent"),
        ("ＡＳＡＰ", IRRELEVANT, "asap"),
        ("as  soon as possible!", IRRELEVANT, "as  soon as possible"),
        ("请加急开票", IRRELEVANT, "加急"),
        ("请尽快", IRRELEVANT, "尽快"),
        ("急", IRRELEVANT, "急"),
        ("紧急", IRRELEVANT, "急"),
        ("应急管理局，加急", IRRELEVANT, "加急"),
    ],
)
def test_a_remark_that_will_not_do_is_refused_with_code_and_value(remark: str, code: str, value: str) -> None:
    (finding,) = check_remark(remark)
    assert (finding.code, finding.value) == (code, value)


def test_everything_that_is_wrong_is_said_at_once_in_a_fixed_order() -> None:
    assert [finding.code for finding in check_remark("急<" + "货" * REMARK_MAX)] == [TOO_LONG, BAD, IRRELEVANT]


@given(st.text(max_size=REMARK_MAX))
def test_what_passes_can_be_printed_and_what_is_reported_can_be_read(remark: str) -> None:
    findings = check_remark(remark)
    assert findings or (remark.encode("gbk") and not CONTROL.search(remark)) or not remark
    assert all(finding.value.isprintable() or " " in finding.value for finding in findings)


def test_characters_that_gbk_lacks_are_named_once_in_order() -> None:
    assert not_in_gbk("甲😀乙€😀") == "😀€"


@pytest.mark.parametrize("text", ["发票 26332000000123456789", "a@b.example", "1 = 2? no", "=?", ""])
def test_a_plain_line_may_stand_in_a_header(text: str) -> None:
    assert safe_in_header(text)


@pytest.mark.parametrize(
    "text", ["a\r\nBcc: b@c", "a\rb", "a\nb", "a\x00b", "a\x0bb", "a\x85b", "a\u2028b", "=?utf-8?b?SGk=?=", "x =?a?= y"]
)
def test_nothing_that_ends_a_line_or_hides_one_stands_in_a_header(text: str) -> None:
    assert not safe_in_header(text)


@given(st.text())
def test_a_safe_text_is_one_line_for_every_reader(text: str) -> None:
    assert not safe_in_header(text) or len(text.splitlines()) <= 1
