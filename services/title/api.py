"""What the gateway may ask of title. Every route is about one account."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from services.title import domain, store
from shared.contracts.http.title import AccountView, FindingView, RecipientView, TitleView
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("")
    async def account(account_id: AccountId) -> AccountView:
        async with runtime.read(account_id) as db:
            found = await store.account(db, account_id)
            recipient = await store.recipient(db, account_id)
        if found is None:
            detail = "This account is not registered yet; it appears when the account system has published it."
            raise Problem(404, "NOT_FOUND", "No such account", detail, account_id=account_id)
        return AccountView(
            account_id=account_id,
            status=found["status"],
            recipient=RecipientView(**(dict(recipient) if recipient else {})),
        )

    @router.get("/titles")
    async def titles(account_id: AccountId) -> list[TitleView]:
        async with runtime.read(account_id) as db:
            return [_view(dict(row)) for row in await store.titles(db, account_id)]

    @router.get("/recipients")
    async def recipients(account_id: AccountId) -> list[RecipientView]:
        async with runtime.read(account_id) as db:
            found = await store.recipient(db, account_id)
        return [RecipientView(**found)] if found else []

    return router


def _view(title: Mapping[str, Any]) -> TitleView:
    found = domain.finding(title["kind"], title["tax_id"])
    return TitleView(**title, findings=[FindingView(code=found.code, text=found.text)] if found else [])
