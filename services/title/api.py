"""What the gateway may ask of title. Every route is about one account."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from services.title import domain, store
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


class RecipientView(BaseModel):
    mailbox: str | None = None
    mobile: str | None = None


class AccountView(BaseModel):
    account_id: int
    status: str
    recipient: RecipientView


class FindingView(BaseModel):
    """Why requests under this title will be refused, and what to do."""

    code: str
    text: str


class TitleView(BaseModel):
    """A title as it is printed; one is active at most. With findings it cannot be used until they are mended."""

    title_id: int
    version: int
    status: str
    kind: str
    name: str
    tax_id: str | None
    address: str | None
    phone: str | None
    bank_name: str | None
    bank_account: str | None
    findings: list[FindingView]


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
