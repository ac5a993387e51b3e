"""What an account is told when the system refuses what it asks for: a stable code, what was wrong and what to do, the values behind it."""

from dataclasses import dataclass
from typing import Any

STATUS_OF = {"NOTHING_SELECTED": 422, "REMARK_TOO_LONG": 400, "REMARK_BAD_CHARACTER": 400, "REMARK_IRRELEVANT": 400, "BAD_TAX_ID": 400,
    "ACCOUNT_CLOSED": 403, "NO_INVOICE_PERMISSION": 403, "NOT_FOUND": 404}  # fmt: skip
"""All other refusals are 409: the request is well formed, the state of things is against it."""

TEXTS = {
    "ACCOUNT_CLOSED": "The account is closed; documents of the past can still be downloaded.",
    "IDEMPOTENCY_CONFLICT request": "This Idempotency-Key was used for another request; repeat that one unchanged, or take a new key.",
    "IDEMPOTENCY_CONFLICT credit note": "This Idempotency-Key was used for another credit note; repeat that one unchanged, or take a new "
    "key.",
    "NO_INVOICE_PERMISSION own": "The account that manages this one has kept invoicing to itself. Ask there.",
    "NO_INVOICE_PERMISSION member": "Account {account_id} has not granted MANAGE_TARGET_INVOICE to this one. Have the relation changed, or "
    "leave its documents out.",
    "NOTHING_SELECTED": "Name documents in `numbers`, months in `cycles`, `products`, or a sum in `amount_fen`.",
    "NO_ACTIVE_TITLE": "The account has no active title. Finish the real-name registration or the pending title application.",
    "SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON": "A natural person gets general invoices only; ask for `general`.",
    "TITLE_INCOMPLETE_FOR_SPECIAL": "A special invoice needs {missing} in the title; complete it or ask for `general`.",
    "BAD_TAX_ID": "The title's unified social credit code fails its check digit; correct it in the real-name registration.",
    "NOT_FOUND request": "There is no such request of this account.",
    "NOT_FOUND invoice": "This account has no invoice {number}; list them first.",
    "NOT_CANCELLABLE offset": "All of the selection has paid a deficit; there is no invoice to cancel.",
    "NOT_CANCELLABLE ended": "The request has ended already.",
    "ALREADY_ISSUED": "The invoice is issued. Ask for a credit note instead.",
    "ALREADY_CREDITED": "Invoice {number} is credited already; its amount can be invoiced again.",
    "NOT_CREDITABLE": "Invoice {number} or its red invoice differs from what was asked for; an operator has to look at it first.",
    "ALREADY_CREDITING": "A credit note of invoice {number} is under way; wait for its end.",
    "RED_FORM_NUMBER_REQUIRED": "The buyer has recorded this special invoice: have the buyer enter a red confirmation form for its full "
    "amount in the e-tax bureau, and name the form's number in `red_form_number`.",
}
"""A code that is refused for several things has a text for each."""

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


@dataclass(frozen=True)
class Refused:
    """The system refuses."""

    code: str
    text: str
    detail: dict[str, Any]


def refuse(code: str, about: str = "", **values: object) -> Refused:
    """The refusal of that code with its text; `values` are shown with it, and may stand in the text."""
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in values.items()}
    return Refused(code, TEXTS[f"{code} {about}".strip()].format_map(shown), dict(values))
