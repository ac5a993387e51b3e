"""What people read: what happened, why, what to do; Chinese first and whole, for SMS sends that line only."""

import pytest

from services.notification.notices import texts
from shared.domain.refusals import Refusal, text_of

NUMBER, RED, FORM = "26332000000000000001", "26332000000000000002", "330126031300000001"
KNOWN = [
    ("RED_FORM_05", "购买方拒绝了", "the buyer refused"),
    ("RED_FORM_06", "销售方未接受", "the seller did not accept"),
    ("BLUE_ALREADY_RED", "已红冲或正在红冲", "reversed already"),
    ("RED_FORM_07", "未在 72 小时内确认", "not confirmed within 72 hours"),
    ("RED_FORM_08", "已被撤销", "was withdrawn"),
    ("RED_FORM_09", "确认后被撤销", "withdrawn after it was confirmed"),
    ("RED_FORM_10", "税务机关因异常凭证", "the tax bureau blocked it"),
    ("RED_FORM_11", "税务机关因纳税人状态", "the tax bureau blocked it"),
    ("RED_FORM_12", "自然人购买方拒绝了", "a natural person, refused"),
    ("RED_FORM_13", "已开具出口退税证明", "the tax bureau blocked it"),
    ("RED_FORM_AMOUNT_MISMATCH", "金额与发票金额不一致", "not over the full amount of the invoice"),
    ("RED_FORM_UNKNOWN", "查无该红字信息确认单", "has no such form for this invoice"),
    ("RED_FORM_DEAD", "该红字信息确认单已作废", "the red confirmation form is void"),
    ("FORMAT", "数据格式有误", "not well formed"),
    ("SERIAL_REUSED", "流水号已用于其他发票", "the serial was used for another invoice"),
    ("BLUE_UNKNOWN", "查无销售方开具的该发票", "knows no such invoice"),
    ("RED_AMOUNTS", "红字发票的金额与蓝字发票不一致", "not over the amounts of the invoice"),
]


def lines(told: tuple[str, str]) -> list[str]:
    subject, text = told
    chinese, english = text.split("\n")
    assert not subject.isascii()
    assert not chinese.isascii()
    assert english.isascii()
    return [chinese, english]


def test_a_credited_invoice_names_both_invoices_and_the_amount_that_is_invoiceable_again() -> None:
    chinese, english = lines(texts.credited(NUMBER, RED, 106_000))
    assert chinese == f"您的发票 {NUMBER} 已红冲，红字发票 {RED}，金额 1,060.00 元已恢复为可开票金额。"
    assert english == f"Invoice {NUMBER} has been credited by red invoice {RED}; CNY 1,060.00 is invoiceable again."


@pytest.mark.parametrize("hours_left", range(73))
def test_a_waiting_form_names_its_number_and_the_time_that_is_left(hours_left: int) -> None:
    for line in lines(texts.form_waits(NUMBER, 106_000, FORM, hours_left)):
        assert NUMBER in line
        assert FORM in line
        assert f" {hours_left} " in line or hours_left == 0


@pytest.mark.parametrize(
    ("hours_left", "chinese", "english"),
    [
        (24, "请购买方在 24 小时内在电子税务局确认", "in the e-tax bureau within 24 hours, or it is void."),
        (1, "请购买方在 1 小时内在电子税务局确认", "in the e-tax bureau within 1 hour, or it is void."),
        (0, "请购买方立即（剩余不足 1 小时）在电子税务局确认", "at once (less than an hour is left), or it is void."),
    ],
)
def test_the_time_that_is_left_reads_well(hours_left: int, chinese: str, english: str) -> None:
    above, below = lines(texts.form_waits(NUMBER, 106_000, FORM, hours_left))
    assert chinese in above
    assert below.endswith(english)


@pytest.mark.parametrize(("code", "chinese", "english"), KNOWN)
def test_a_failed_credit_note_says_why_and_what_to_do(code: str, chinese: str, english: str) -> None:
    row = text_of(code)
    above, below = lines(texts.credit_failed(NUMBER, 106_000, code, "what the platform says"))
    assert above.startswith(f"发票 {NUMBER}（价税合计 1,060.00 元）红冲失败：")
    assert chinese in above
    assert above.endswith(f"该发票维持不变，{row.advice_chinese}。")
    assert f"Invoice {NUMBER} over CNY 1,060.00 was not credited: " in below
    assert english in below
    assert f"({code})" in below
    assert below.endswith(f"The invoice stands as before; {row.advice_english}.")


@pytest.mark.parametrize(
    ("said", "read"), [("蓝字发票状态异常", "蓝字发票状态异常"), ("", "税务平台未受理（BLUE_STATE）")]
)
def test_another_reason_is_told_in_the_words_of_the_platform_or_by_its_code(said: str, read: str) -> None:
    above, below = lines(texts.credit_failed(NUMBER, 106_000, "BLUE_STATE", said))
    assert f"红冲失败：{read}。" in above
    assert "(BLUE_STATE)" in below


def test_every_code_with_which_a_credit_note_fails_is_tried_above() -> None:
    rows = [text_of(code) for code in Refusal if code != Refusal.PLATFORM_REFUSED]
    of_credit_notes = {row.code for row in rows if row.by == "tax platform" and "credit_note_id" in row.values}
    assert of_credit_notes == {code for code, *_ in KNOWN}


def test_a_credit_note_that_the_platform_cancelled_is_no_cancelled_request() -> None:
    above, below = lines(texts.credit_failed(NUMBER, 106_000, "CANCELLED", ""))
    assert "可开票金额" not in above
    assert "amount is free" not in below


@pytest.mark.parametrize("code", [code for code in Refusal if text_of(code).by == "tax platform"])
def test_a_failed_invoice_says_why_and_what_to_do(code: str) -> None:
    row = text_of(code)
    above, below = lines(texts.failed(106_000, code, ""))
    assert above.startswith(f"金额 1,060.00 元的发票开具失败：{row.chinese}。该金额已恢复为可开票金额，")
    assert above.endswith(f"{row.advice_chinese}。")
    assert f"was not issued: {row.english} ({code})" in below
    assert below.endswith(f"{row.advice_english}.")


def test_a_failed_invoice_is_told_with_the_words_of_the_platform_too() -> None:
    above, _ = lines(texts.failed(106_000, "CHARACTER", "备注第 3 个字符无法打印"))
    assert "发票抬头或备注含有无法打印的字符（备注第 3 个字符无法打印）" in above
    above, _ = lines(texts.failed(106_000, "SOMETHING_NEW", "纳税人状态异常"))
    assert above.count("纳税人状态异常") == 1


@pytest.mark.parametrize("code", [code for code in Refusal if text_of(code).by == "ledger"])
def test_a_refused_request_says_why_and_what_to_do(code: str) -> None:
    row = text_of(code)
    above, below = lines(texts.refused(5, code))
    assert above == f"申请 5 未受理：{row.chinese}。{row.advice_chinese}。"
    assert below == f"Request 5 was refused: {row.english} ({code}); {row.advice_english}."
