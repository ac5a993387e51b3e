"""What is searched for: items and their totals, usage, refunds. What cannot be invoiced is found too, with the reason."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from asyncpg import Connection, Record
from fastapi import APIRouter, Query

from services.ledger.explanation.rules import NO_WHY, Standing, why_not, why_not_usage
from services.ledger.intake.rules import BEGINNING
from services.ledger.items import store as searching
from services.ledger.queries.asking import (
    BY_NUMBER,
    BY_TIME,
    Asked,
    ItemSearch,
    OfItems,
    RefundSearch,
    UsageSearch,
)
from shared.contracts.http.ledger import ItemPage, ItemView, RefundPage, RefundView, Totals, UsagePage, UsageView
from shared.contracts.message import AccountId, Number
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()
    catalogue = Catalogue.load()

    def item_view(row: Record, now: datetime) -> ItemView:
        standing = Standing(**{name: row[name] for name in Standing.__slots__})
        why = why_not(standing, catalogue.invoiceable_by(row["order_type"]), now)
        shown = dict(row) | {"can_invoice_fen": standing.can_invoice_fen(now)} | (asdict(why) if why else NO_WHY)
        return ItemView.model_validate(shown)

    @router.get("/items")
    async def items(account_id: AccountId, asked: Annotated[ItemSearch, Query()]) -> ItemPage:
        now = runtime.clock.now()
        after = max(BY_TIME.after(asked.cursor), (asked.since or BEGINNING, 0))  # so that an index begins there
        async with runtime.read(account_id) as db:
            rows = await searching.items(db, account_id, asked.filters(), now, after, asked.limit)
        return ItemPage(items=[item_view(row, now) for row in rows], next=BY_TIME.cursor(rows, asked.limit))

    @router.get("/items/totals")
    async def totals(account_id: AccountId, asked: Annotated[OfItems, Query()]) -> Totals:
        async with runtime.read(account_id) as db:
            row = await searching.totals(db, account_id, asked.filters(), runtime.clock.now())
        return Totals.model_validate(dict(row))

    @router.get("/usage")
    async def usage(account_id: AccountId, asked: Annotated[UsageSearch, Query()]) -> UsagePage:
        after = BY_NUMBER.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await searching.usage(db, account_id, asked.filters(), after, asked.limit)
        shown = [dict(row) | asdict(why_not_usage(row["earliest_at"], row["billed"])) for row in rows]
        return UsagePage(usage=list(map(UsageView.model_validate, shown)), next=BY_NUMBER.cursor(rows, asked.limit))

    @router.get("/refunds")
    async def refunds(account_id: AccountId, asked: Annotated[RefundSearch, Query()]) -> RefundPage:
        after = BY_NUMBER.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await searching.refunds(db, account_id, asked.filters(), after, asked.limit)
        return RefundPage(refunds=list(map(_refund, rows)), next=BY_NUMBER.cursor(rows, asked.limit))

    @router.get("/items/{number:path}")
    async def item(account_id: AccountId, number: Number, _: Annotated[Asked, Query()]) -> list[ItemView]:
        now = runtime.clock.now()
        async with runtime.read(account_id) as db:
            rows = await searching.items_of_number(db, account_id, number, now)
            if not rows:
                raise await no_such_item(db, account_id, number)
        return [item_view(row, now) for row in rows]

    return router


async def no_such_item(db: Connection, account_id: int, number: str) -> Problem:
    places = await searching.found_elsewhere(db, account_id, number)
    detail = f"This account has no order or bill {number} (yet); it appears when billing has published it." + "".join(
        f" There is one among {place}: see /{place}?number=." for place in places
    )
    return Problem(404, "NOT_FOUND", "No such document", detail, number=number, found_in=places)


def _refund(row: Record) -> RefundView:
    waiting = row["item_id"] is None
    shown = {"state": "waiting" if waiting else "attached", "waits_since": row["arrived_at"] if waiting else None}
    return RefundView.model_validate(dict(row) | shown)
