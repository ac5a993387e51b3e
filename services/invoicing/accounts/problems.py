"""What invoicing says when it refuses."""

from typing import Any

from services.invoicing.requests.rules import Refused
from shared.runtime.web import Problem

STATUS_OF = {"NOTHING_SELECTED": 422, "REMARK_TOO_LONG": 400, "REMARK_BAD_CHARACTER": 400, "REMARK_IRRELEVANT": 400, "BAD_TAX_ID": 400,
    "ACCOUNT_CLOSED": 403, "NO_INVOICE_PERMISSION": 403, "NOT_FOUND": 404}  # fmt: skip
"""All other refusals are 409: the request is well formed, the state of things is against it."""
EXPLAINED = {
    "INSUFFICIENT_INVOICEABLE": "Less is left than was asked for. Ask for no more than what the balance shows as available.",
    "DEFICIT_NOT_COVERED": "The subject has an open deficit. Settle it first, by a credit note of the invoice that was refunded.",
    "ITEM_NOT_INVOICEABLE": "A selected document cannot be invoiced (yet); `why` says the reason, `earliest_at` when to come back.",
    "SELECTION_TOO_LARGE": "It would be over more lines than one request may have. Ask for fewer documents, or by month or amount. With "
    "`offsets` there are too many refunded invoices to make up for: settle `payable_fen` of the deficit first, then ask again.",
    "ITEM_LOCKED": "A selected document is held by another request. Wait for that one, or cancel it.",
    "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT": "A deficit is paid first: what is selected must cover the amount and the deficit. Ask for less.",
    "OFFSET_ABOVE_DEFICIT": "There is no deficit of this subject as large as that. Ask for no more than the balance shows.",
    "NEGATIVE_SELECTED_ALONE": "A refund cannot be selected without its original. Select the original document.",
    "RED_FORM_AMOUNT_MISMATCH": "The red confirmation form is not over the full amount of the invoice. Have the buyer enter one that is.",
    "RED_FORM_UNKNOWN": "The tax bureau has no such form for this invoice. Check its number with the buyer.",
    "RED_FORM_DEAD": "The red confirmation form is void. Have the buyer enter a new one.",
}
"""What to do about a refusal that came from the ledger or the platform."""


def problem(refused: Refused) -> Problem:
    status = STATUS_OF.get(refused.code, 409)
    return Problem(status, refused.code, titled(refused.code), refused.text, **refused.detail)


def explained(code: str, otherwise: str, **detail: Any) -> Problem:  # noqa: ANN401 - whatever is behind it
    """A refusal that came from the ledger or the platform."""
    return Problem(409, code, titled(code), EXPLAINED.get(code, otherwise), **detail)


def titled(code: str) -> str:
    return code.replace("_", " ").capitalize()


def not_found(what: str, value: str) -> Problem:
    return Problem(
        404, "NOT_FOUND", f"No such {what}", f"This account has no {what} {value}; list them first.", value=value
    )
