"""Titles as the gateway shows them, with what is wrong with them."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from services.title.accounts import store as accounts
from services.title.accounts.rules import readable
from services.title.titles import rules, store
from shared.contracts.http.title import FindingView, TitleView
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("/titles")
    async def titles(account_id: AccountId) -> list[TitleView]:
        async with runtime.read(account_id) as db:
            readable(await accounts.account(db, account_id))
            return [_view(dict(row)) for row in await store.titles(db, account_id)]

    return router


def _view(title: Mapping[str, Any]) -> TitleView:
    found = rules.finding(title["kind"], title["tax_id"])
    return TitleView(**title, findings=[FindingView(code=found.code, text=found.text)] if found else [])
