"""What people read: Chinese first, an English line below. What was wrong, and what to do; nothing the reader does not need."""

from shared.domain.refusals import platform_text, text_of


def issued(number: str, gross_fen: int) -> tuple[str, str]:
    text = f"您的发票 {number} 已开具，价税合计 {yuan(gross_fen)} 元。\nInvoice {number} over CNY {yuan(gross_fen)} has been issued."
    return f"发票已开具 {number}", text


def files(number: str, gross_fen: int) -> tuple[str, str]:
    text = (
        f"您的发票 {number}（价税合计 {yuan(gross_fen)} 元）已开具，文件见附件。\n"
        f"Invoice {number} over CNY {yuan(gross_fen)} is attached as PDF and XML."
    )
    return f"发票 {number}", text


def red_files(number: str, gross_fen: int) -> tuple[str, str]:
    text = (
        f"红字发票 {number}（价税合计 -{yuan(gross_fen)} 元）已开具，该金额已恢复为可开票金额，文件见附件。\n"
        f"Red invoice {number} over CNY -{yuan(gross_fen)} is attached as PDF and XML; its amount can be invoiced again."
    )
    return f"红字发票 {number}", text


def failed(gross_fen: int, code: str, words: str) -> tuple[str, str]:
    why = platform_text(code, {"text": words})
    said = f"（{words}）" if words and words != why.chinese else ""
    text = (
        f"金额 {yuan(gross_fen)} 元的发票开具失败：{why.chinese}{said}。该金额已恢复为可开票金额，{why.advice_chinese}。\n"
        f"An invoice over CNY {yuan(gross_fen)} was not issued: {why.english} ({code}). The amount is free again; {why.advice_english}."
    )
    return "发票开具失败", text


def voided(gross_fen: int) -> tuple[str, str]:
    text = (
        f"金额 {yuan(gross_fen)} 元的开票申请已取消，该金额已恢复为可开票金额。\n"
        f"The request over CNY {yuan(gross_fen)} was cancelled; the amount is free again."
    )
    return "开票申请已取消", text


def credited(number: str, red_number: str, gross_fen: int) -> tuple[str, str]:
    text = (
        f"您的发票 {number} 已红冲，红字发票 {red_number}，金额 {yuan(gross_fen)} 元已恢复为可开票金额。\n"
        f"Invoice {number} has been credited by red invoice {red_number}; CNY {yuan(gross_fen)} is invoiceable again."
    )
    return f"发票已红冲 {number}", text


def form_waits(number: str, gross_fen: int, form_number: str, hours_left: int) -> tuple[str, str]:
    chinese, english = f"在 {hours_left} 小时内", f"within {hours_left} {'hour' if hours_left == 1 else 'hours'}"
    if hours_left == 0:
        chinese, english = "立即（剩余不足 1 小时）", "at once (less than an hour is left)"
    text = (
        f"发票 {number}（价税合计 {yuan(gross_fen)} 元）的红字信息确认单 {form_number} 待购买方确认，"
        f"请购买方{chinese}在电子税务局确认，逾期该确认单作废。\n"
        f"To credit invoice {number} over CNY {yuan(gross_fen)}, the buyer has to confirm red confirmation form {form_number} "
        f"in the e-tax bureau {english}, or it is void."
    )
    return f"红字信息确认单待确认 {form_number}", text


def credit_failed(number: str, gross_fen: int, code: str, words: str) -> tuple[str, str]:
    why = platform_text(code, {"text": words})
    text = (
        f"发票 {number}（价税合计 {yuan(gross_fen)} 元）红冲失败：{why.chinese}。该发票维持不变，{why.advice_chinese}。\n"
        f"Invoice {number} over CNY {yuan(gross_fen)} was not credited: {why.english} ({code}). "
        f"The invoice stands as before; {why.advice_english}."
    )
    return f"发票红冲失败 {number}", text


def refused(request_id: int, code: str) -> tuple[str, str]:
    why = text_of(code)
    text = (
        f"申请 {request_id} 未受理：{why.chinese}。{why.advice_chinese}。\n"
        f"Request {request_id} was refused: {why.english} ({code}); {why.advice_english}."
    )
    return "开票申请未受理", text


def yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"
