"""The public API. Every route belongs to the account of the caller's key; the table below says who owns what is behind it."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field

from services.gateway import handlers, store
from services.gateway.domain import PREFIX, bearer, hash_of, new_key
from services.gateway.forwarding import Call, Owners
from shared.contracts.intents import DeficitOffset, IdempotencyKey, InvoiceRequest
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

READS = {
    "/account": ("title", "", "The account and where word is sent"),
    "/titles": ("title", "/titles", "Titles; one is active at most"),
    "/balances": ("ledger", "/balances", "What may still be invoiced, by subject"),
    "/cash": ("ledger", "/cash", "Cash, and how much of it may be withdrawn"),
    "/items": ("ledger", "/items", "Orders and bills, oldest first, by cursor"),
    "/items/{number}": ("ledger", "/items/{number}", "One order or bill"),
    "/invoice-requests": ("invoicing", "/invoice-requests", "Requests, newest first"),
    "/invoice-requests/{request_id}": ("invoicing", "/invoice-requests/{request_id}", "One request and its invoices"),
    "/invoices": ("invoicing", "/invoices", "Invoices, newest first"),
    "/invoices/{number}": ("invoicing", "/invoices/{number}", "One invoice"),
    "/invoices/{number}/files/{form}": ("invoicing", "/invoices/{number}/files/{form}", "A file: pdf or xml"),
    "/notifications": ("notification", "/notifications", "What you were told, newest first"),
}


class KeyWanted(BaseModel):
    account_id: AccountId
    name: Annotated[str, Field(min_length=1, max_length=100)]


class KeyMade(BaseModel):
    """Shown once."""

    account_id: int
    api_key: str


def public_routes(runtime: Runtime, *, owners: Owners) -> APIRouter:
    router = APIRouter(prefix="/v1")
    account = Depends(_account(runtime))

    for path, (owner, behind, summary) in READS.items():
        router.add_api_route(path, _reader(owners, owner, behind, account), methods=["GET"], summary=summary)

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

    async def ask(path: str, idempotency_key: str, body: InvoiceRequest | DeficitOffset) -> Response:
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
        return await owners.forward(Call("invoicing", "POST", path, {}, headers, body.model_dump_json().encode()))

    @router.post("/invoice-requests/{request_id}/cancel", summary="Wish to cancel a request")
    async def cancel(request_id: int, account_id: int = account) -> Response:
        path = f"/accounts/{account_id}/invoice-requests/{request_id}/cancel"
        return await owners.forward(Call("invoicing", "POST", path, {}, {}))

    return router


def _reader(owners: Owners, owner: str, behind: str, account: int) -> Callable[..., Awaitable[Response]]:
    async def read(request: Request, account_id: int = account) -> Response:
        path = f"/accounts/{account_id}{behind.format_map(request.path_params)}"
        return await owners.forward(Call(owner, "GET", path, request.query_params, {}))

    return read


def _account(runtime: Runtime) -> Callable[..., Awaitable[int]]:
    async def account(authorization: Annotated[str, Header()] = "") -> int:
        secret = bearer(authorization)
        if secret is not None:
            async with runtime.read() as db:
                account_id = await store.account_of(db, hash_of(secret))
            if account_id is not None:
                return account_id
        detail = (
            "Send `Authorization: Bearer kp_…` with an API key of your account; `kaipiao api-keys create` makes one."
        )
        raise Problem(401, "UNAUTHORIZED", "No valid API key", detail, headers={"WWW-Authenticate": "Bearer"})

    return account


def operator_routes(runtime: Runtime) -> APIRouter:
    """For operators, who hold the service token."""
    router = APIRouter(prefix="/ops")

    @router.post("/api-keys", status_code=201, include_in_schema=False)
    async def make_key(wanted: KeyWanted) -> KeyMade:
        secret = PREFIX + secrets.token_urlsafe(32)
        await runtime.intent(handlers.add_key, new_key(secret, wanted.account_id, wanted.name))
        return KeyMade(account_id=wanted.account_id, api_key=secret)

    return router
