"""The words of the language. Whatever is not here makes an example fail; nothing is ever skipped."""

from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
Happens = Callable[[int, Event], Awaitable[None]]
"""What an event does: with its place among the events, and itself."""

EVENTS: dict[str, set[str]] = {
    "account.topped_up": {"account", "cash_fen"},
    "order.paid": {"account", "doc_id", "subject", "product", "cash_fen", "list_fen", "voucher_fen", "delivered_at"},
    "usage.recorded": {"account", "usage_id", "subject", "cash_fen"},
    "bill.generated": {"account", "doc_id", "cycle", "subject", "product", "legal_entity", "cash_fen"},
    "refund.posted": {"account", "doc_id", "original_doc_id", "cash_fen", "event_id"},
    "given.deficit": {"account", "subject", "cash_fen"},
    "account.closed": {"account"},
    "title.changed": {"account", "title"},
    "title.corporate_applied": {"account"},
    "invoice.requested": {
        *(
            "account",
            "request_id",
            "method",
            "doc_ids",
            "amount_fen",
            "subject",
            "invoice_type",
            "remark",
            "idempotency_key",
        ),
        *("consolidate", "one_invoice_per_month"),
    },
    "invoice.cancel_requested": {"request_id"},
    "deficit.offset_requested": {"account", "subject", "doc_ids", "amount_fen"},
    "credit_note.requested": {"invoice_of", "reason", "recorded", "red_form_no", "form_gross_fen", "remark"},
    "red_form.entered": {"by", "red_form_no", "invoice_of", "gross_fen", "state"},
    "red_form.confirmed": {"by", "red_form_no", "invoice_of", "gross_fen", "state"},
    "tax.submitted": {"request_id", "serial"},
    "tax.invoice_issued": {"request_id", "subject"},
    "tax.result": {"request_id", "state", "subject", "serial", "reason", "invoice_number"},
    "tax.submit_timeout": {"request_id", "serial"},
    "tax.resubmitted": {"request_id", "serial", "answer"},
    "tax.cancel_accepted": {"request_id", "reason"},
    "tax.cancel_rejected": {"request_id", "reason"},
    "tax.quota_set": {"legal_entity", "month", "total_net_fen", "used_net_fen"},
    "tax.quota_exceeded": {"request_id", "needed_net_fen", "left_net_fen"},
    "tax.red_issued": {"invoice_of", "state"},
    "tax.red_form_state": {"invoice_of", "state"},
    "auto_invoicing.due": {"month"},
    "clock.tick": set(),
    "query.balance": {"account"},
    "query.withdrawable": {"account"},
    "query.red_form": {"invoice_of"},
}
GIVEN = {
    *("account", "title", "auto_invoicing", "invoice", "members", "payer", "relations", "orders", "order_gross_fen"),
    *("orders_gross_fen", "gross_fen", "quantity", "tax_rate", "line_cap", "net_cap_fen", "tolerance_sum_yuan"),
}
FACTS = {
    *(
        "balances",
        "checkpoints",
        "deficits",
        "items",
        "invoices",
        "red_invoices",
        "requests",
        "errors",
        "offsets",
        "accepted",
    ),
    *("duplicates", "notifications", "auto_invoicing", "account_cash_fen", "withdrawable_fen", "quota_used_net_fen"),
    *("invoice_count", "sum_gross_fen", "member_gross_fen", "cycles", "earliest_invoiceable_at", "due", "run_once_per"),
    *(
        "idempotency_key",
        "review_due_business_days",
        "download_of_old_invoices",
        "issued_at_provider",
        "next_serial_differs",
    ),
    *(
        "with_cross_account_offset",
        "splits",
        "per_order_lines",
        "merged_line",
        "recommended",
        "separate",
        "separate_sum",
    ),
    *(
        "consolidated",
        "line",
        "blue",
        "red",
        "reds",
        "left",
        "fresh_rounding_of_last",
        "checks",
        "numbers",
        "codes",
        "words",
    ),
    *("manual_request_would_give", "abs_error_yuan", "accepted"),
}
INPUTS = {
    ("checks", "net_fen"),
    ("checks", "tax_fen"),
    ("checks", "tax_rate"),
    ("codes", "code"),
    ("numbers", "number"),
    ("numbers", "note"),
}
"""Figures listed among the facts that are asked about rather than asserted."""


class UnknownWordError(Exception):
    """The example uses a word that is not in the language."""


class NotOfferedError(Exception):
    """The word is known; what it speaks of is not offered yet."""


def check_words(example: dict[str, Any]) -> None:
    for event in example["events"]:
        known = EVENTS.get(event["type"])
        if known is None:
            raise UnknownWordError(f"event {event['type']}")
        if unknown := set(event) - known - {"at", "type"}:
            raise UnknownWordError(f"{event['type']}: {', '.join(sorted(unknown))}")
    if unknown := set(example.get("given", {})) - GIVEN:
        raise UnknownWordError(f"given: {', '.join(sorted(unknown))}")
    if unknown := set(example["expected"]) - FACTS:
        raise UnknownWordError(f"expected: {', '.join(sorted(unknown))}")
