"""Requests of an account over HTTP. The invoices of a request are shown, and a cancel is carried out, by the rooms above."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated

from asyncpg import Connection, Record
from fastapi import APIRouter, Header, Query, Response

from services.invoicing.accounts.problems import not_found, problem
from services.invoicing.accounts.refusals import Refused
from services.invoicing.accounts.rules import Keys, Unseal
from services.invoicing.requests import handlers, store
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from services.invoicing.requests.rules import CancelIntent, cancel_outcome
from shared.contracts.http.invoicing import InvoiceView, RequestView
from shared.contracts.http.paging import FIRST, Before
from shared.contracts.intents import DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.message import AccountId, Id
from shared.domain.refusals import text_of
from shared.runtime.service import Intent, Runtime
from shared.runtime.web import Problem

Invoices = Callable[[Connection, int, int], Awaitable[list[Record]]]
"""The parts of an account's request, as an invoice is shown."""


def routes(
    runtime: Runtime,
    *,
    keys: Keys,
    wait_seconds: float,
    cancel_request: Intent[CancelIntent, str | Refused],
    invoices: Invoices,
) -> APIRouter:
    router = APIRouter()

    @router.post("/invoice-requests")
    async def post_request(
        account_id: AccountId,
        body: InvoiceRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        response: Response,
    ) -> RequestView:
        intent = InvoiceIntent(account_id, idempotency_key, **body.model_dump(exclude={"wait_seconds"}))
        return await answered(intent, body.wait_seconds, response)

    @router.post("/deficit-offsets")
    async def post_offset(
        account_id: AccountId,
        body: DeficitOffset,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        response: Response,
    ) -> RequestView:
        said = body.model_dump(exclude={"wait_seconds"})
        return await answered(
            InvoiceIntent(account_id, idempotency_key, **said, pays_deficit=True), body.wait_seconds, response
        )

    async def answered(intent: InvoiceIntent, wait: float | None, response: Response) -> RequestView:
        """The ledger's word if it comes in time, else that the request is accepted."""

        def asked(unseal: Unseal) -> Awaitable[AcceptedRequest | Refused]:
            return runtime.intent(partial(handlers.request_invoice, unseal=unseal), intent)

        answer = await keys.using(intent.account_id, asked)
        if isinstance(answer, Refused):
            raise problem(answer)
        found = await runtime.wait_for(
            "request_answered",
            f"{intent.account_id}:{answer.request_id}",
            lambda db: store.answered_request(db, intent.account_id, answer.request_id),
            wait_seconds if wait is None else wait,
        )
        if found is not None and found["status"] == "refused":
            raise _refused_by_ledger(found)
        response.status_code = 202 if found is None else 201
        return await view(intent.account_id, answer.request_id)

    @router.get("/invoice-requests")
    async def list_requests(
        account_id: AccountId,
        before: Before = FIRST,
        limit: Annotated[int, Query(ge=1, le=store.PAGE_MAX)] = 50,
    ) -> list[RequestView]:
        async with runtime.read(account_id) as db:
            return [_shown(row) for row in await store.requests_before(db, account_id, before, limit)]

    @router.get("/invoice-requests/{request_id}")
    async def get_request(account_id: AccountId, request_id: Id) -> RequestView:
        return await view(account_id, request_id)

    @router.post("/invoice-requests/{request_id}/cancel")
    async def cancel(account_id: AccountId, request_id: Id) -> RequestView:
        answer = await runtime.intent(cancel_request, CancelIntent(account_id, request_id))
        if isinstance(answer, Refused):
            raise problem(answer)
        return await view(account_id, request_id)

    async def view(account_id: int, request_id: int) -> RequestView:
        async with runtime.read(account_id) as db:
            row = await store.request(db, account_id, request_id)
            parts = await invoices(db, account_id, request_id)
        if row is None:
            raise not_found("request", str(request_id))
        return _shown(row, parts)

    return router


def _shown(row: Record, invoices: Sequence[Record] = ()) -> RequestView:
    cancel = cancel_outcome(row["cancel_wished"], row["status"])
    return RequestView(**row, cancel=cancel, invoices=[InvoiceView(**invoice) for invoice in invoices])


def _refused_by_ledger(row: Record) -> Problem:
    view = _shown(row)
    assert view.reason is not None, "a request is refused for a reason"
    return Problem(*text_of(view.reason, view.detail).problem, request_id=view.request_id, **view.detail)
