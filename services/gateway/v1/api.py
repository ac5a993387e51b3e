"""The public API. Every route belongs to the account of the caller's key; the table below says who owns what is behind it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import Field

from services.gateway.callers.api import caller
from services.gateway.owners.forwarding import Call, Owners, quoted
from shared.contracts.http.ledger import Term
from shared.contracts.intents import CreditNoteRequest, DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.invoicing import InvoiceNumber
from shared.contracts.message import Id, Number
from shared.runtime.service import Runtime

READS = {
    "/account": ("title", "", "The account and where word is sent"),
    "/titles": ("title", "/titles", "Titles; one is active at most"),
    "/balances": ("ledger", "/balances", "What may still be invoiced, by subject"),
    "/cash": ("ledger", "/cash", "Cash, and how much of it may be withdrawn"),
    "/items": ("ledger", "/items", "Orders and bills, oldest first, by filter and cursor"),
    "/items/totals": ("ledger", "/items/totals", "What a search adds up to"),
    "/items/{number:path}/moves": ("ledger", "/items/{number}/moves", "All that happened to an order or bill, and why"),
    "/items/{number:path}": ("ledger", "/items/{number}", "One order or bill"),
    "/months": ("ledger", "/months", "Balances by subject and month, open or not yet"),
    "/usage": ("ledger", "/usage", "Pay-as-you-go usage, which waits for its bill"),
    "/refunds": ("ledger", "/refunds", "Refunds, and which of them wait for their original"),
    "/explanation": ("ledger", "/explanation", "A balance, term by term from what was spent"),
    **{
        f"/explanation/{term}": ("ledger", f"/explanation/{term}", "The documents behind a term")
        for term in get_args(Term)
    },
    "/reservations/{request_id}/items": (
        "ledger",
        "/reservations/{request_id}/items",
        "The documents behind a request",
    ),
    "/invoice-requests": ("invoicing", "/invoice-requests", "Requests, newest first"),
    "/invoice-requests/{request_id}": ("invoicing", "/invoice-requests/{request_id}", "One request and its invoices"),
    "/invoices": ("invoicing", "/invoices", "Invoices, newest first"),
    "/invoices/{number}": ("invoicing", "/invoices/{number}", "One invoice"),
    "/invoices/{number}/files/{form}": ("invoicing", "/invoices/{number}/files/{form}", "A file: pdf or xml"),
    "/credit-notes": ("invoicing", "/credit-notes", "Credit notes, newest first"),
    "/credit-notes/{credit_note_id}": ("invoicing", "/credit-notes/{credit_note_id}", "One credit note"),
    "/notifications": ("notification", "/notifications", "What you were told, newest first"),
}
"""A document's number may have any printable character in it, also `/`; an invoice's is of digits."""

FileForm = Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]


def routes(runtime: Runtime, *, owners: Owners) -> APIRouter:
    router = APIRouter(prefix="/v1")
    account = Depends(caller(runtime))

    for path, (owner, behind, summary) in READS.items():
        checks = [check for name, check in CHECKS.items() if f"{{{name}}}" in behind]
        read = _reader(owners, owner, behind, account)
        router.add_api_route(path, read, methods=["GET"], summary=summary, dependencies=checks)

    @router.post("/invoice-requests", status_code=201, summary="Ask for invoices")
    async def post_request(
        body: InvoiceRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        account_id: int = account,
    ) -> Response:
        return await ask(f"/accounts/{account_id}/invoice-requests", idempotency_key, body)

    @router.post("/deficit-offsets", status_code=201, summary="Pay a deficit with consumption, without an invoice")
    async def post_offset(
        body: DeficitOffset,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        account_id: int = account,
    ) -> Response:
        return await ask(f"/accounts/{account_id}/deficit-offsets", idempotency_key, body)

    @router.post("/invoices/{number}/credit-notes", status_code=201, summary="Have an invoice reversed by a red one")
    async def post_credit_note(
        number: InvoiceNumber,
        body: CreditNoteRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        account_id: int = account,
    ) -> Response:
        return await ask(f"/accounts/{account_id}/invoices/{number}/credit-notes", idempotency_key, body)

    async def ask(
        path: str, idempotency_key: str, body: InvoiceRequest | DeficitOffset | CreditNoteRequest
    ) -> Response:
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
        return await owners.forward(Call("invoicing", "POST", path, (), headers, body.model_dump_json().encode()))

    @router.post("/invoice-requests/{request_id}/cancel", summary="Wish to cancel a request")
    async def cancel(request_id: Id, account_id: int = account) -> Response:
        path = f"/accounts/{account_id}/invoice-requests/{request_id}/cancel"
        return await owners.forward(Call("invoicing", "POST", path))

    return router


async def _number(number: Number) -> None:
    """One that nobody can have printed is refused at the edge."""


async def _request_id(request_id: Id) -> None:
    """Likewise one that nobody can have been given."""


async def _credit_note_id(credit_note_id: Id) -> None:
    """Likewise."""


async def _form(form: FileForm) -> None:
    """Likewise."""


CHECKS = {
    "number": Depends(_number),
    "request_id": Depends(_request_id),
    "credit_note_id": Depends(_credit_note_id),
    "form": Depends(_form),
}


def _reader(owners: Owners, owner: str, behind: str, account: int) -> Callable[..., Awaitable[Response]]:
    async def read(request: Request, account_id: int = account) -> Response:
        parts = {name: quoted(value) for name, value in request.path_params.items()}
        path = f"/accounts/{account_id}{behind.format_map(parts)}"
        return await owners.forward(Call(owner, "GET", path, request.query_params.multi_items()))

    return read
