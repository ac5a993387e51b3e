"""What can be read: each public path, whose it is, and what it shows."""

from dataclasses import dataclass
from typing import Any, get_args

from shared.contracts.http.invoicing import CreditNoteView, InvoiceView, RequestView
from shared.contracts.http.ledger import (
    Cash,
    DocumentPage,
    ExplanationView,
    ItemPage,
    ItemView,
    Month,
    MovePage,
    RefundPage,
    ReservedPage,
    Term,
    Totals,
    UsagePage,
)
from shared.contracts.http.notification import NotificationView
from shared.contracts.http.title import AccountView, TitleView
from shared.contracts.ledger import Balance


@dataclass(frozen=True)
class Read:
    """`shows`: the type of the owner's answer, `bytes` for a file."""

    owner: str
    shows: Any
    summary: str


READS = {
    "/account": Read("title", AccountView, "The account and where word is sent"),
    "/titles": Read("title", list[TitleView], "Titles; one is active at most"),
    "/balances": Read("ledger", list[Balance], "What may still be invoiced, by subject"),
    "/cash": Read("ledger", Cash, "Cash, and how much of it may be withdrawn"),
    "/items": Read("ledger", ItemPage, "Orders and bills, oldest first, by filter and cursor"),
    "/items/totals": Read("ledger", Totals, "What a search adds up to"),
    "/items/{number:path}/moves": Read("ledger", MovePage, "All that happened to an order or bill, and why"),
    "/items/{number:path}": Read("ledger", list[ItemView], "One order or bill"),
    "/months": Read("ledger", list[Month], "Balances by subject and month, open or not yet"),
    "/usage": Read("ledger", UsagePage, "Pay-as-you-go usage, which waits for its bill"),
    "/refunds": Read("ledger", RefundPage, "Refunds, and which of them wait for their original"),
    "/explanation": Read("ledger", ExplanationView, "A balance, term by term from what was spent"),
    **{f"/explanation/{term}": Read("ledger", DocumentPage, "The documents behind a term") for term in get_args(Term)},
    "/reservations/{request_id}/items": Read("ledger", ReservedPage, "The documents behind a request"),
    "/invoice-requests": Read("invoicing", list[RequestView], "Requests, newest first"),
    "/invoice-requests/{request_id}": Read("invoicing", RequestView, "One request and its invoices"),
    "/invoices": Read("invoicing", list[InvoiceView], "Invoices, newest first"),
    "/invoices/{number}": Read("invoicing", InvoiceView, "One invoice"),
    "/invoices/{number}/files/{form}": Read("invoicing", bytes, "A file: pdf or xml"),
    "/credit-notes": Read("invoicing", list[CreditNoteView], "Credit notes, newest first"),
    "/credit-notes/{credit_note_id}": Read("invoicing", CreditNoteView, "One credit note"),
    "/notifications": Read("notification", list[NotificationView], "What you were told, newest first"),
}
"""A document's number may have any printable character in it, also `/`; an invoice's is of digits."""


def behind(path: str) -> str:
    """The owner's path below that of the account: the same, and nothing for the account itself."""
    return "" if path == "/account" else path.replace(":path", "")
