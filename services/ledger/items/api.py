"""What is searched for: items and their totals, usage, refunds, items of a request. What cannot be invoiced is found, with the reason."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query

from services.ledger.explanation.store import found_elsewhere
from services.ledger.items import store
from services.ledger.items.asking import ItemSearch, OfItems, RefundSearch, UsageSearch
from services.ledger.items.rules import INVOICEABLE, ItemBuckets, why_not, why_not_usage
from services.ledger.journal.rules import BEGINNING
from services.ledger.queries import problems
from services.ledger.queries.asking import BY_NUMBER, BY_PLACE, BY_TIME, Asked, Paged
from services.ledger.reservations.store import of_request
from shared.contracts.http.ledger import (
    ItemPage,
    ItemView,
    RefundPage,
    RefundView,
    ReservedPage,
    ReservedView,
    Totals,
    UsagePage,
    UsageView,
)
from shared.contracts.message import AccountId, Id, Number
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()
    catalogue = Catalogue.load()

    def item_view(row: Record, now: datetime) -> ItemView:
        buckets = ItemBuckets(**{name: row[name] for name in ItemBuckets.__slots__})
        why = why_not(buckets, catalogue.invoiceable_by(row["order_type"]), now)
        shown = dict(row) | {"can_invoice_fen": buckets.can_invoice_fen(now)} | (asdict(why) if why else INVOICEABLE)
        return ItemView.model_validate(shown)

    @router.get("/items")
    async def items(account_id: AccountId, asked: Annotated[ItemSearch, Query()]) -> ItemPage:
        now = runtime.clock.now()
        after = max(BY_TIME.after(asked.cursor), (asked.since or BEGINNING, 0))  # so that an index begins there
        async with runtime.read(account_id) as db:
            rows = await store.items(db, account_id, asked.filters(), now, after, asked.limit)
        return ItemPage(items=[item_view(row, now) for row in rows], next=BY_TIME.cursor(rows, asked.limit))

    @router.get("/items/totals")
    async def totals(account_id: AccountId, asked: Annotated[OfItems, Query()]) -> Totals:
        async with runtime.read(account_id) as db:
            row = await store.totals(db, account_id, asked.filters(), runtime.clock.now())
        return Totals.model_validate(dict(row))

    @router.get("/usage")
    async def usage(account_id: AccountId, asked: Annotated[UsageSearch, Query()]) -> UsagePage:
        after = BY_NUMBER.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await store.usage(db, account_id, asked.filters(), after, asked.limit)
        shown = [dict(row) | asdict(why_not_usage(row["earliest_at"], row["billed"])) for row in rows]
        return UsagePage(usage=list(map(UsageView.model_validate, shown)), next=BY_NUMBER.cursor(rows, asked.limit))

    @router.get("/refunds")
    async def refunds(account_id: AccountId, asked: Annotated[RefundSearch, Query()]) -> RefundPage:
        after = BY_NUMBER.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await store.refunds(db, account_id, asked.filters(), after, asked.limit)
        return RefundPage(refunds=list(map(_refund, rows)), next=BY_NUMBER.cursor(rows, asked.limit))

    @router.get("/items/{number:path}")
    async def item(account_id: AccountId, number: Number, _: Annotated[Asked, Query()]) -> list[ItemView]:
        now = runtime.clock.now()
        async with runtime.read(account_id) as db:
            rows = await store.items_of_number(db, account_id, number, now)
            if not rows:
                raise problems.no_such_item(number, await found_elsewhere(db, account_id, number))
        return [item_view(row, now) for row in rows]

    @router.get("/reservations/{request_id}/items")
    async def reserved(account_id: AccountId, request_id: Id, asked: Annotated[Paged, Query()]) -> ReservedPage:
        after = BY_PLACE.after(asked.cursor)
        async with runtime.read(account_id) as db:
            reservation = await of_request(db, account_id, request_id)
            if reservation is None or reservation.reservation_id is None:
                raise problems.nothing_reserved(request_id)
            rows = await store.reserved_items(db, account_id, reservation.reservation_id, after, asked.limit)
        shown = [ReservedView.model_validate(dict(row)) for row in rows]
        return ReservedPage(items=shown, next=BY_PLACE.cursor(rows, asked.limit))

    return router


def _refund(row: Record) -> RefundView:
    waiting = row["item_id"] is None
    shown = {"state": "waiting" if waiting else "attached", "waits_since": row["arrived_at"] if waiting else None}
    return RefundView.model_validate(dict(row) | shown)
