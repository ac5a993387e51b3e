"""The public API. Every route belongs to the account of the caller's key, and an owner's answer goes through as it is: the models
say what it shows, nothing is read by them.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from services.gateway.callers.api import caller
from services.gateway.owners.forwarding import Call, Owners, quoted
from services.gateway.v1.reads import READS, behind
from shared.contracts.http.invoicing import CreditNoteView, RequestView
from shared.contracts.http.paging import FileForm
from shared.contracts.intents import CreditNoteRequest, DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.invoicing import InvoiceNumber
from shared.contracts.message import Id, Number
from shared.runtime.service import Runtime

BINARY = {"schema": {"type": "string", "format": "binary"}}
FILE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"description": "The file", "content": {"application/pdf": BINARY, "application/xml": BINARY}}},
}


def routes(_: Runtime, *, owners: Owners, wait_seconds: float) -> APIRouter:
    router = APIRouter(prefix="/v1")
    account = Depends(caller)

    for path, read in READS.items():
        router.add_api_route(
            path,
            _reader(owners, read.owner, behind(path), account),
            methods=["GET"],
            summary=read.summary,
            dependencies=[check for name, check in CHECKS.items() if f"{{{name}}}" in behind(path)],
            **FILE if read.shows is bytes else {"response_model": read.shows},
        )

    @router.post("/invoice-requests", summary="Ask for invoices", **_stored(RequestView))
    async def post_request(
        body: InvoiceRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        account_id: int = account,
    ) -> Response:
        return await ask(f"/accounts/{account_id}/invoice-requests", idempotency_key, body)

    @router.post(
        "/deficit-offsets", summary="Pay a deficit with consumption, without an invoice", **_stored(RequestView)
    )
    async def post_offset(
        body: DeficitOffset,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        account_id: int = account,
    ) -> Response:
        return await ask(f"/accounts/{account_id}/deficit-offsets", idempotency_key, body)

    @router.post(
        "/invoices/{number}/credit-notes",
        summary="Have an invoice reversed by a red one",
        **_stored(CreditNoteView),
    )
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
        content, waits = body.model_dump_json().encode(), body.wait_seconds
        waits = wait_seconds if waits is None else waits
        return await owners.forward(Call("invoicing", "POST", path, (), headers, content, waits))

    @router.post(
        "/invoice-requests/{request_id}/cancel", response_model=RequestView, summary="Wish to cancel a request"
    )
    async def cancel(request_id: Id, account_id: int = account) -> Response:
        path = f"/accounts/{account_id}/invoice-requests/{request_id}/cancel"
        return await owners.forward(Call("invoicing", "POST", path))

    return router


def _stored(shows: type) -> dict[str, Any]:
    """What is asked for is stored either way; whether it was decided in time is in the status."""
    stored = {"model": shows, "description": "Stored. The decision did not come in time: read it later"}
    return {"status_code": 201, "response_model": shows, "responses": {202: stored}}


async def _number(number: Number) -> None:
    """One that nobody can have printed is refused at the edge."""


async def _request_id(request_id: Id) -> None:
    """One that nobody can have been given is refused at the edge."""


async def _credit_note_id(credit_note_id: Id) -> None:
    """One that nobody can have been given is refused at the edge."""


async def _form(form: FileForm) -> None:
    """What is no plain word is refused at the edge."""


CHECKS = {
    "number": Depends(_number),
    "request_id": Depends(_request_id),
    "credit_note_id": Depends(_credit_note_id),
    "form": Depends(_form),
}


def _reader(owners: Owners, owner: str, path_behind: str, account: int) -> Callable[..., Awaitable[Response]]:
    async def read(request: Request, account_id: int = account) -> Response:
        parts = {name: quoted(value) for name, value in request.path_params.items()}
        path = f"/accounts/{account_id}{path_behind.format_map(parts)}"
        return await owners.forward(Call(owner, "GET", path, request.query_params.multi_items()))

    return read
