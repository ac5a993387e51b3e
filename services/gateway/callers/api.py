"""API keys: how an operator makes one, and whose key a caller has sent."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from services.gateway.callers import handlers, store
from services.gateway.callers.rules import PREFIX, bearer, hash_of, new_key
from shared.contracts.message import AccountId
from shared.domain.refusals import Refusal, text_of
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


class KeyWanted(BaseModel):
    account_id: AccountId
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class KeyMade(BaseModel):
    """Shown once."""

    account_id: int
    api_key: str


def caller(runtime: Runtime) -> Callable[..., Awaitable[int]]:
    """The account of a caller, for routes to depend on."""

    async def account(authorization: Annotated[str, Header()] = "") -> int:
        secret = bearer(authorization)
        if secret is not None:
            async with runtime.read() as db:
                account_id = await store.account_of(db, hash_of(secret))
            if account_id is not None:
                return account_id
        raise Problem(*text_of(Refusal.UNAUTHORIZED).problem, headers={"WWW-Authenticate": "Bearer"})

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
