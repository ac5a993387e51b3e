"""Erasure of an account's personal data, for operators: asked for, and how far it is. On their listener only."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.title.erasures import handlers, store
from services.title.erasures.rules import Erasure, ErasureIntent
from shared.contracts.message import WRITABLE, AccountId
from shared.domain.refusals import Refusal
from shared.runtime import parked
from shared.runtime.operations import Who, asked_by
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


class ErasureWanted(Who):
    """Why: a number of a case, or a few words. No personal data: it is kept."""

    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=WRITABLE)]


class ErasureView(BaseModel):
    """`started`: something is under way that still needs the keys. `erased`: they are dropped."""

    account_id: int
    state: Literal["started", "erased"]
    started_at: datetime
    ended_at: datetime | None


def operator_routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/ops/accounts/{account_id}/erasure")

    @router.post("", status_code=202)
    async def erase(account_id: AccountId, wanted: ErasureWanted) -> ErasureView:
        asked_by(wanted.by, "account_erasure_asked", account_id=account_id)
        intent = ErasureIntent(account_id, wanted.by, wanted.reason)
        return _view(account_id, await runtime.intent(partial(handlers.erase_account, forget=parked.forget), intent))

    @router.get("")
    async def erasure(account_id: AccountId) -> ErasureView:
        async with runtime.read(account_id) as db:
            return _view(account_id, await store.last(db, account_id))

    return router


def _view(account_id: int, erasure: Erasure | None) -> ErasureView:
    if erasure is None:
        detail = f"There is no account {account_id} here, or nobody has asked for its erasure."
        raise Problem(404, Refusal.NOT_FOUND, "No such erasure", detail, account_id=account_id)
    state: Literal["started", "erased"] = "started" if erasure.ended_at is None else "erased"
    return ErasureView(account_id=account_id, state=state, started_at=erasure.started_at, ended_at=erasure.ended_at)
