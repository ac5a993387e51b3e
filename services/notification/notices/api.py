"""What the gateway may ask of notification: the notices of one account, newest first. HTTP calls them notifications."""

from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query

from services.notification.notices import store
from shared.contracts.http.notification import NotificationView
from shared.contracts.http.paging import FIRST, Before
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("/notifications")
    async def notifications(
        account_id: AccountId, before: Before = FIRST, limit: Annotated[int, Query(ge=1, le=store.PAGE_MAX)] = 50
    ) -> list[NotificationView]:
        async with runtime.read(account_id) as db:
            return list(map(_view, await store.page(db, account_id, before, limit)))

    return router


def _view(notice: Record) -> NotificationView:
    return NotificationView.model_validate(dict(notice) | {"notification_id": notice["notice_id"]})
