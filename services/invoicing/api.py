"""What the gateway may ask of invoicing. Every route is about one account, which the gateway took from the caller's key."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from asyncpg import Record
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Json, computed_field

from services.invoicing import handlers
from services.invoicing.domain.requests import Ask, Cancel, Refused, Unseal, cancel_outcome
from services.invoicing.store import pages
from shared.contracts.intents import DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.invoicing import InvoiceKind
from shared.contracts.message import LARGEST_ID
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

CalledAbout = Callable[[bytes, str], str | None]
"""From the body and the signature of a callback to the serial it speaks of."""
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
}


class FileView(BaseModel):
    name: str
    media_type: str
    size: int
    sha256: str


class InvoiceView(BaseModel):
    """One part of a request; an invoice once it has a number."""

    part_id: int
    request_id: int
    part_no: int
    subject: str
    legal_entity: str
    content: str
    tax_percent: int
    kind: InvoiceKind
    gross_fen: int
    net_fen: int
    tax_fen: int
    members: list[int]
    cycles: list[str]
    status: str
    number: str | None
    issued_at: AwareDatetime | None
    specimen: bool | None
    reason: str | None
    text: str | None
    files: Json[list[FileView]]


class RequestView(BaseModel):
    request_id: int
    method: str
    kind: InvoiceKind
    numbers: list[str]
    cycles: list[str]
    products: list[str]
    members: list[int]
    consolidate: bool
    one_invoice_per_month: bool
    subject: str | None
    amount_fen: int | None
    remark: str
    status: str
    cancel_wished: bool
    reason: str | None
    detail: Json[dict[str, Any]]
    created_at: AwareDatetime
    closed_at: AwareDatetime | None
    invoices: list[InvoiceView] = []

    @computed_field
    def cancel(self) -> str | None:
        """What became of the wish to cancel: pending, done, or refused_already_issued."""
        return cancel_outcome(self.cancel_wished, self.status)


def routes(runtime: Runtime, *, unseal: Unseal, objects: ObjectStore, wait_seconds: float) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")
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
            raise _problem(answer)
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
            return [RequestView(**row) for row in await pages.requests_before(db, account_id, before, limit)]

    @router.get("/invoice-requests/{request_id}")
    async def get_request(account_id: int, request_id: int) -> RequestView:
        return await _view(runtime, account_id, request_id)

    @router.post("/invoice-requests/{request_id}/cancel")
    async def cancel(account_id: int, request_id: int) -> RequestView:
        answer = await runtime.intent(handlers.cancel_request, Cancel(account_id, request_id))
        if isinstance(answer, Refused):
            raise _problem(answer)
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
            raise _not_found("invoice", number)
        return InvoiceView(**row)

    @router.get("/invoices/{number}/files/{form}")
    async def get_file(account_id: int, number: str, form: str) -> Response:
        name = f"{number}.{form}"
        async with runtime.read(account_id) as db:
            row = await pages.file(db, account_id, number, name)
        if row is None:
            raise _not_found("file", name)
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
        raise _not_found("request", str(request_id))
    return RequestView(**row, invoices=[InvoiceView(**invoice) for invoice in invoices])


def _problem(refused: Refused) -> Problem:
    title = refused.code.replace("_", " ").capitalize()
    return Problem(STATUS_OF.get(refused.code, 409), refused.code, title, refused.text, **refused.detail)


def _refused_by_ledger(row: Record) -> Problem:
    view = RequestView(**row)
    code = view.reason or "REFUSED"
    title = code.replace("_", " ").capitalize()
    return Problem(409, code, title, EXPLAINED.get(code, title), request_id=view.request_id, **view.detail)


def _not_found(what: str, value: str) -> Problem:
    return Problem(
        404, "NOT_FOUND", f"No such {what}", f"This account has no {what} {value}; list them first.", value=value
    )
