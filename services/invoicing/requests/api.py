"""What the gateway may ask of invoicing. Every route is about one account, which the gateway took from the caller's key."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Header, Query, Request, Response

from services.invoicing.accounts.problems import explained, not_found, problem, titled
from services.invoicing.credit_notes import api as credit_notes
from services.invoicing.issuing import pages
from services.invoicing.requests import handlers
from services.invoicing.requests.rules import Ask, Cancel, Refused, Unseal, cancel_outcome
from shared.contracts.http.invoicing import InvoiceView, RequestView
from shared.contracts.intents import DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.message import LARGEST_ID
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

CalledAbout = Callable[[bytes, str], str | None]
"""From the body and the signature of a callback to the serial it speaks of."""


def routes(runtime: Runtime, *, unseal: Unseal, objects: ObjectStore, wait_seconds: float) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")
    router.include_router(credit_notes.routes(runtime, wait_seconds))
    request_invoice = partial(handlers.request_invoice, unseal=unseal)

    @router.post("/invoice-requests")
    async def post_request(
        account_id: int,
        body: InvoiceRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        response: Response,
    ) -> RequestView:
        ask = Ask(account_id, idempotency_key, **body.model_dump(exclude={"wait_seconds"}))
        return await answered(ask, body.wait_seconds, response)

    @router.post("/deficit-offsets")
    async def post_offset(
        account_id: int,
        body: DeficitOffset,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        response: Response,
    ) -> RequestView:
        ask = Ask(account_id, idempotency_key, **body.model_dump(exclude={"wait_seconds"}), pays_deficit=True)
        return await answered(ask, body.wait_seconds, response)

    async def answered(ask: Ask, wait: float | None, response: Response) -> RequestView:
        """The ledger's word if it comes in time, else that the request is taken."""
        answer = await runtime.intent(request_invoice, ask)
        if isinstance(answer, Refused):
            raise problem(answer)
        found = await runtime.wait_for(
            "request_answered",
            f"{ask.account_id}:{answer.request_id}",
            lambda db: pages.answered_request(db, ask.account_id, answer.request_id),
            wait_seconds if wait is None else wait,
        )
        if found is not None and found["status"] == "refused":
            raise _refused_by_ledger(found)
        response.status_code = 202 if found is None else 201
        return await _view(runtime, ask.account_id, answer.request_id)

    @router.get("/invoice-requests")
    async def list_requests(
        account_id: int,
        before: int = LARGEST_ID + 1,
        limit: Annotated[int, Query(ge=1, le=pages.PAGE_MAX)] = 50,
    ) -> list[RequestView]:
        async with runtime.read(account_id) as db:
            return [_shown(row) for row in await pages.requests_before(db, account_id, before, limit)]

    @router.get("/invoice-requests/{request_id}")
    async def get_request(account_id: int, request_id: int) -> RequestView:
        return await _view(runtime, account_id, request_id)

    @router.post("/invoice-requests/{request_id}/cancel")
    async def cancel(account_id: int, request_id: int) -> RequestView:
        answer = await runtime.intent(handlers.cancel_request, Cancel(account_id, request_id))
        if isinstance(answer, Refused):
            raise problem(answer)
        return await _view(runtime, account_id, request_id)

    @router.get("/invoices")
    async def list_invoices(
        account_id: int,
        before: int = LARGEST_ID + 1,
        limit: Annotated[int, Query(ge=1, le=pages.PAGE_MAX)] = 50,
    ) -> list[InvoiceView]:
        async with runtime.read(account_id) as db:
            return [InvoiceView(**row) for row in await pages.invoices_before(db, account_id, before, limit)]

    @router.get("/invoices/{number}")
    async def get_invoice(account_id: int, number: str) -> InvoiceView:
        async with runtime.read(account_id) as db:
            row = await pages.invoice(db, account_id, number)
        if row is None:
            raise not_found("invoice", number)
        return InvoiceView(**row)

    @router.get("/invoices/{number}/files/{form}")
    async def get_file(account_id: int, number: str, form: str) -> Response:
        name = f"{number}.{form}"
        async with runtime.read(account_id) as db:
            row = await pages.file(db, account_id, number, name)
        if row is None:
            raise not_found("file", name)
        content = await asyncio.wait_for(objects.get(row["object_key"]), timeout=10)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=row["media_type"], headers=headers)

    return router


def platform_routes(runtime: Runtime, *, called_about: CalledAbout) -> APIRouter:
    """For the tax platform, which signs what it says. What it says only makes us ask."""
    router = APIRouter()

    @router.post("/tax-platform/callbacks", status_code=204, include_in_schema=False)
    async def called(request: Request, signature: Annotated[str, Header()] = "") -> None:
        serial = called_about(await request.body(), signature)
        if serial is None:
            detail = "Sign the body with the secret of this platform (HMAC-SHA256 in hex, header Signature) and name a `serial` in it."
            raise Problem(401, "BAD_SIGNATURE", "Not signed by the tax platform", detail)
        await runtime.intent(handlers.platform_called, serial)

    return router


async def _view(runtime: Runtime, account_id: int, request_id: int) -> RequestView:
    async with runtime.read(account_id) as db:
        row = await pages.request(db, account_id, request_id)
        invoices = await pages.parts_of_request(db, account_id, request_id)
    if row is None:
        raise not_found("request", str(request_id))
    return _shown(row, invoices)


def _shown(row: Record, invoices: Sequence[Record] = ()) -> RequestView:
    cancel = cancel_outcome(row["cancel_wished"], row["status"])
    return RequestView(**row, cancel=cancel, invoices=[InvoiceView(**invoice) for invoice in invoices])


def _refused_by_ledger(row: Record) -> Problem:
    view = _shown(row)
    code = view.reason or "REFUSED"
    return explained(code, titled(code), request_id=view.request_id, **view.detail)
