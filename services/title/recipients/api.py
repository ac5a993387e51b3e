"""Where word is sent, as the gateway shows it."""

from fastapi import APIRouter

from services.title.accounts import store as accounts
from services.title.accounts.rules import readable
from services.title.recipients import store
from shared.contracts.http.title import RecipientView
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("/recipients")
    async def recipients(account_id: AccountId) -> list[RecipientView]:
        async with runtime.read(account_id) as db:
            readable(await accounts.account(db, account_id))
            found = await store.recipient(db, account_id)
        return [RecipientView(**found)] if found else []

    return router
