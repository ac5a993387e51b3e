"""An account as it is registered: whether it is open, and where word is sent."""

from fastapi import APIRouter

from services.title.accounts import store as accounts
from services.title.accounts.rules import readable
from services.title.recipients import store as recipients
from shared.contracts.http.title import AccountView, RecipientView
from shared.contracts.message import AccountId
from shared.domain.refusals import Refusal
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("")
    async def account(account_id: AccountId) -> AccountView:
        async with runtime.read(account_id) as db:
            found = await accounts.account(db, account_id)
            readable(found)
            recipient = await recipients.recipient(db, account_id)
        if found is None:
            detail = "This account is not registered yet; it appears when the account system has published it."
            raise Problem(404, Refusal.NOT_FOUND, "No such account", detail, account_id=account_id)
        return AccountView(
            account_id=account_id,
            status=found.status,
            recipient=RecipientView(**(dict(recipient) if recipient else {})),
        )

    return router
