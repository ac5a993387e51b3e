"""What people read: Chinese first, an English line below. What was wrong, and what to do; nothing the reader does not need."""

REASONS = {
    "INSUFFICIENT_INVOICEABLE": ("可开票金额不足", "less is left than was asked for"),
    "DEFICIT_NOT_COVERED": ("该开票主体存在欠票", "the subject has an open deficit"),
    "ITEM_NOT_INVOICEABLE": ("所选订单或账单暂不可开票", "a selected document cannot be invoiced (yet)"),
    "ITEM_LOCKED": ("所选订单已被其他申请占用", "a selected document is held by another request"),
    "NEGATIVE_SELECTED_ALONE": ("退款单不能单独选择", "a refund cannot be selected alone"),
    "SELECTION_TOO_LARGE": ("所选订单过多，请分次申请", "too many documents are selected; ask in several requests"),
}

AGREE = ("请与购买方协商一致后重新申请", "settle it with the buyer, then ask again")
IN_TIME = ("请重新申请，并请购买方在 72 小时内确认", "ask again and have the buyer confirm within 72 hours")
AGAIN = ("如仍需红冲，请重新申请", "ask again if it is still to be credited")
TAX_BUREAU = ("请联系主管税务机关处理后重新申请", "have it cleared with the tax bureau, then ask again")
OTHER_FORM = (
    "请购买方开具全额的红字信息确认单，待其确认后以该单号重新申请",
    "have the buyer enter a form over the full amount and confirm it, then ask again with its number",
)
FORM_NUMBER = ("请核对单号后重新申请", "check its number, then ask again")
UNDER_WAY = ("请等待其完成", "wait for that to end")
CORRECT = ("请更正后重新申请", "correct it and ask again")

CREDIT_NOTE_REASONS = {
    "RED_FORM_05": ("购买方拒绝了红字信息确认单", "the buyer refused the red confirmation form", AGREE),
    "RED_FORM_06": ("销售方未接受红字信息确认单", "the seller did not accept the red confirmation form", AGAIN),
    "BLUE_ALREADY_RED": (
        "该发票已红冲或正在红冲",
        "the invoice is reversed already, or being reversed",
        UNDER_WAY,
    ),
    "RED_FORM_07": (
        "红字信息确认单未在 72 小时内确认",
        "the red confirmation form was not confirmed within 72 hours",
        IN_TIME,
    ),
    "RED_FORM_08": ("红字信息确认单已被撤销", "the red confirmation form was withdrawn", AGAIN),
    "RED_FORM_09": (
        "红字信息确认单确认后被撤销",
        "the red confirmation form was withdrawn after it was confirmed",
        AGAIN,
    ),
    "RED_FORM_10": (
        "税务机关因异常凭证作废了红字信息确认单",
        "the tax bureau blocked it because of an abnormal voucher",
        TAX_BUREAU,
    ),
    "RED_FORM_11": (
        "税务机关因纳税人状态作废了红字信息确认单",
        "the tax bureau blocked it because of the taxpayer's status",
        TAX_BUREAU,
    ),
    "RED_FORM_12": (
        "自然人购买方拒绝了红字信息确认单",
        "the buyer, a natural person, refused the red confirmation form",
        AGREE,
    ),
    "RED_FORM_13": (
        "该发票已开具出口退税证明，税务机关作废了红字信息确认单",
        "the tax bureau blocked it because an export refund form was issued",
        TAX_BUREAU,
    ),
    "RED_FORM_AMOUNT_MISMATCH": (
        "红字信息确认单的金额与发票金额不一致",
        "the red confirmation form is not over the amount of the invoice",
        OTHER_FORM,
    ),
    "RED_FORM_UNKNOWN": (
        "电子税务局查无该红字信息确认单",
        "the e-tax bureau knows no such red confirmation form",
        FORM_NUMBER,
    ),
    "RED_FORM_DEAD": ("该红字信息确认单已作废", "the red confirmation form is void", OTHER_FORM),
}
"""Why no red invoice comes of a credit note, and what to do."""


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


def failed(gross_fen: int, code: str, reason: str) -> tuple[str, str]:
    text = (
        f"金额 {yuan(gross_fen)} 元的发票开具失败：{reason or code}。该金额已恢复为可开票金额，请更正后重新申请。\n"
        f"An invoice over CNY {yuan(gross_fen)} was refused by the tax platform ({code}). The amount is free again; "
        "correct the title and ask again."
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


def credit_failed(number: str, gross_fen: int, code: str, reason: str) -> tuple[str, str]:
    chinese, english, (now_chinese, now_english) = CREDIT_NOTE_REASONS.get(
        code, (reason or code, "the tax platform refused it", CORRECT)
    )
    text = (
        f"发票 {number}（价税合计 {yuan(gross_fen)} 元）红冲失败：{chinese}。该发票维持不变，{now_chinese}。\n"
        f"Invoice {number} over CNY {yuan(gross_fen)} was not credited: {english} ({code}). "
        f"The invoice stands as before; {now_english}."
    )
    return f"发票红冲失败 {number}", text


def refused(request_id: int, code: str) -> tuple[str, str]:
    chinese, english = REASONS.get(code, (code, code))
    return (
        "开票申请未受理",
        f"申请 {request_id} 未受理：{chinese}。\nRequest {request_id} was refused: {english} ({code}).",
    )


def yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"
