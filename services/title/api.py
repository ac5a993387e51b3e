"""What the gateway may ask of title. Every route is about one account."""

from fastapi import APIRouter
from pydantic import BaseModel

from services.title import store
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


class RecipientView(BaseModel):
    mailbox: str | None = None
    mobile: str | None = None


class AccountView(BaseModel):
    account_id: int
    status: str
    recipient: RecipientView


class TitleView(BaseModel):
    """A title as it is printed; one is active at most."""

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


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("")
    async def account(account_id: int) -> AccountView:
        async with runtime.read() as db:
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
    async def titles(account_id: int) -> list[TitleView]:
        async with runtime.read() as db:
            return [TitleView(**row) for row in await store.titles(db, account_id)]

    return router
