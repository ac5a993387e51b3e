"""What people read: Chinese first, an English line below. What was wrong, and what to do; nothing the reader does not need."""

REASONS = {
    "INSUFFICIENT_INVOICEABLE": ("可开票金额不足", "less is left than was asked for"),
    "DEFICIT_NOT_COVERED": ("该开票主体存在欠票", "the subject has an open deficit"),
    "ITEM_NOT_INVOICEABLE": ("所选订单或账单暂不可开票", "a selected document cannot be invoiced (yet)"),
    "ITEM_LOCKED": ("所选订单已被其他申请占用", "a selected document is held by another request"),
    "NEGATIVE_SELECTED_ALONE": ("退款单不能单独选择", "a refund cannot be selected alone"),
    "SELECTION_TOO_LARGE": ("所选订单过多，请分次申请", "too many documents are selected; ask in several requests"),
}


def issued(number: str, gross_fen: int) -> tuple[str, str]:
    text = f"您的发票 {number} 已开具，价税合计 {yuan(gross_fen)} 元。\nInvoice {number} over CNY {yuan(gross_fen)} has been issued."
    return f"发票已开具 {number}", text


def documents(number: str, gross_fen: int) -> tuple[str, str]:
    text = (
        f"您的发票 {number}（价税合计 {yuan(gross_fen)} 元）已开具，文件见附件。\n"
        f"Invoice {number} over CNY {yuan(gross_fen)} is attached as PDF and XML."
    )
    return f"发票 {number}", text


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


def refused(request_id: int, code: str) -> tuple[str, str]:
    chinese, english = REASONS.get(code, (code, code))
    return (
        "开票申请未受理",
        f"申请 {request_id} 未受理：{chinese}。\nRequest {request_id} was refused: {english} ({code}).",
    )


def yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"
