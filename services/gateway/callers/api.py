"""API keys: how an operator makes one, and whose key a caller has sent. That is decided by the headers, before anything else is read."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.datastructures import Headers

from services.gateway.callers import handlers, store
from services.gateway.callers.rules import PREFIX, bearer, hash_of, new_key
from services.gateway.callers.throttle import Throttle, Throttled
from shared.contracts.message import AccountId
from shared.domain.refusals import Refusal, text_of
from shared.runtime.service import Runtime
from shared.runtime.web import Admit, Problem


class KeyWanted(BaseModel):
    account_id: AccountId
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class KeyMade(BaseModel):
    """Shown once."""

    account_id: int
    api_key: str


def admission(runtime: Runtime, *, throttle: Throttle) -> Admit:
    """Lets in whoever has a key, as long as its account asks for no more than it may."""

    @asynccontextmanager
    async def admit(headers: Headers) -> AsyncIterator[Mapping[str, Any]]:
        account_id = await _account_of(runtime, headers.get("authorization", ""))
        try:
            with throttle.using(account_id, time.monotonic()):
                yield {"account_id": account_id}
        except Throttled as reached:
            pause = reached.retry_after_seconds
            values: dict[str, Any] = {"limit": reached.limit, "retry_after_seconds": pause}
            raise Problem(
                *text_of(Refusal.THROTTLED, values).problem, headers={"Retry-After": str(pause)}, **values
            ) from None

    return admit


async def _account_of(runtime: Runtime, authorization: str) -> int:
    secret = bearer(authorization)
    if secret is not None:
        async with runtime.read() as db:
            account_id = await store.account_of(db, hash_of(secret))
        if account_id is not None:
            return account_id
    raise _no_key()


def _no_key() -> Problem:
    return Problem(*text_of(Refusal.UNAUTHORIZED).problem, headers={"WWW-Authenticate": "Bearer"})


async def caller(request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> int:
    """The account of a caller that was let in, for routes to depend on."""
    account_id: int | None = getattr(request.state, "account_id", None)
    if account_id is None:
        raise _no_key()
    return account_id


def operator_routes(runtime: Runtime) -> APIRouter:
    """For operators, on their listener."""
    router = APIRouter(prefix="/ops")

    @router.post("/api-keys", status_code=201)
    async def make_key(wanted: KeyWanted) -> KeyMade:
        secret = PREFIX + secrets.token_urlsafe(32)
        await runtime.intent(handlers.add_key, new_key(secret, wanted.account_id, wanted.name))
        return KeyMade(account_id=wanted.account_id, api_key=secret)

    return router
