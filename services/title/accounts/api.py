"""The keys of an account, for services that have to seal or unseal what is said of it. No page of a customer leads here."""

from fastapi import APIRouter

from services.title.accounts import rules, store
from shared.contracts.http.title import SealingKeysView
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("/sealing-keys")
    async def sealing_keys(account_id: AccountId) -> SealingKeysView:
        async with runtime.read(account_id) as db:
            kept = await store.keys(db, account_id)
        wrapped = rules.in_use(kept)
        return SealingKeysView(wrapped_keys=wrapped, erased=len(wrapped) < len(kept))

    return router
