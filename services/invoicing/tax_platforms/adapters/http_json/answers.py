"""From the platform's JSON to an answer to what was asked. What it has never said before, or said in another shape, is `Unknown`: it may
not decide anything.
"""

import re
from datetime import datetime

from services.invoicing.tax_platforms.adapters.http_json.forms import form
from services.invoicing.tax_platforms.port import (
    QUOTA_EXCEEDED,
    Accepted,
    CancelAnswer,
    CancelHeard,
    Cancelled,
    Duplicate,
    Failed,
    Issued,
    NotFound,
    Processing,
    QueryAnswer,
    QuotaAnswer,
    QuotaTold,
    Rejected,
    SubmitAnswer,
    Unknown,
)
from shared.domain.invoice_number import parse_invoice_number

FORM_NUMBER, FORM_CODE = re.compile(r"[0-9A-Za-z]{1,40}"), re.compile(r"[0-9]{2}")
QR_MAX = 500
REASONS = {"QUOTA_EXCEEDED": QUOTA_EXCEEDED}
"""Codes of the protocol that mean something to our rules. Any other is shown as it is."""


def to_submission(answer: object) -> SubmitAnswer:
    match answer:
        case {"state": "accepted"}:
            return Accepted()
        case {"state": "duplicate"}:
            return Duplicate()
        case {"state": "rejected", "code": str(code), "text": str(text)}:
            return Rejected(REASONS.get(code, code), text)
        case {"state": "issued"}:
            return _issued(answer)
        case _:
            return Unknown("an answer to a submission that nobody understands")


def to_query(answer: object) -> QueryAnswer:
    match answer:
        case {"state": "not_found"}:
            return NotFound()
        case {"state": "processing"}:
            return Processing()
        case {"state": "issued"}:
            return _issued(answer)
        case {"state": "failed", "code": str(code), "text": str(text)}:
            return Failed(code, text)
        case {"state": "cancelled"}:
            return Cancelled()
        case {"state": "form", "form_number": str(number), "form_state": str(code)} if FORM_NUMBER.fullmatch(
            number
        ) and FORM_CODE.fullmatch(code):
            return form(number, code)
        case _:
            return Unknown("an answer to a query that nobody understands")


def to_cancel(answer: object) -> CancelAnswer:
    """Accepted or too late, it only says that the wish arrived."""
    match answer:
        case {"state": "accepted" | "too_late"}:
            return CancelHeard()
        case _:
            return Unknown("no answer to a cancel")


def to_quota(answer: object) -> QuotaAnswer:
    match answer:
        case {"state": "quota", "limit_net_fen": int(limit_fen), "used_net_fen": int(used_fen)} if (
            limit_fen >= 0 and used_fen >= 0
        ):
            return QuotaTold(limit_fen, used_fen)
        case _:
            return Unknown("an answer about a quota that nobody understands")


def _issued(answer: object) -> Issued | Unknown:
    match answer:
        case {
            "number": str(number),
            "issued_at": str(issued_at),
            "gross_fen": int(gross_fen),
            "net_fen": int(net_fen),
            "tax_fen": int(tax_fen),
            "qr": str(qr),
            "specimen": bool(specimen),
        } if parse_invoice_number(number) and qr.isprintable() and len(qr) <= QR_MAX:
            at = datetime.fromisoformat(issued_at)
            if at.tzinfo is not None:
                return Issued(number, at, gross_fen, net_fen, tax_fen, qr, specimen)
    return Unknown("an invoice that nobody understands")
