"""What the gateway may ask of the ledger: balances, items, cash. Every route is about one account."""

from datetime import UTC, datetime
from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from services.ledger.domain.balances import balance, withdrawable_fen
from services.ledger.store import pages
from shared.contracts.ledger import Balance
from shared.contracts.message import AccountId, Code, Cycle, Id, Number
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
PLACE: TypeAdapter[tuple[datetime, int]] = TypeAdapter(tuple[AwareDatetime, Id])


class ItemView(BaseModel):
    """One line of an order or bill, and where its money is. All amounts in fen."""

    item_id: int
    kind: str
    number: str
    line: int
    contract_number: str | None
    cycle: str
    subject: str
    content: str
    tax_percent: int
    product_code: str | None
    item_name: str
    spec: str | None
    occurred_at: AwareDatetime
    arrived_at: AwareDatetime
    opens_at: AwareDatetime
    settled_fen: int
    refunded_fen: int
    invoiceable_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_fen: int


class ItemPage(BaseModel):
    items: list[ItemView]
    next: str | None
    """Give it as `cursor` for the next page; none when this is the last."""


class Cash(BaseModel):
    cash_fen: int
    withdrawable_fen: int


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/accounts/{account_id}")

    @router.get("/balances")
    async def balances(account_id: AccountId) -> list[Balance]:
        async with runtime.read(account_id) as db:
            return [balance(sums) for sums in await pages.sums(db, account_id, runtime.clock.now())]

    @router.get("/cash")
    async def cash(account_id: AccountId) -> Cash:
        async with runtime.read(account_id) as db:
            cash_fen = await pages.cash_fen(db, account_id)
            sums = await pages.sums(db, account_id, runtime.clock.now())
        deficit_fen = -sum(one.negative_fen for one in sums)
        return Cash(cash_fen=cash_fen, withdrawable_fen=withdrawable_fen(cash_fen, deficit_fen))

    @router.get("/items")
    async def items(
        account_id: AccountId,
        cursor: Annotated[str, Query(max_length=100)] | None = None,
        subject: Code | None = None,
        cycle: Cycle | None = None,
        limit: Annotated[int, Query(ge=1, le=pages.PAGE_MAX)] = 50,
    ) -> ItemPage:
        async with runtime.read(account_id) as db:
            rows = await pages.items_after(db, account_id, _after(cursor), subject, cycle, limit)
        last = rows[-1] if len(rows) == limit else None
        return ItemPage(items=[ItemView(**row) for row in rows], next=None if last is None else _cursor(last))

    @router.get("/items/{number:path}")
    async def item(account_id: AccountId, number: Number) -> list[ItemView]:
        async with runtime.read(account_id) as db:
            rows = await pages.items_of_number(db, account_id, number)
        if not rows:
            detail = f"This account has no order or bill {number} (yet); it appears when billing has published it."
            raise Problem(404, "NOT_FOUND", "No such document", detail, number=number)
        return [ItemView(**row) for row in rows]

    return router


def _cursor(row: Record) -> str:
    """Of characters that an address may have as they are."""
    occurred_at: datetime = row["occurred_at"]
    return f"{occurred_at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z_{row['item_id']}"


def _after(cursor: str | None) -> tuple[datetime, int]:
    if cursor is None:
        return BEGINNING, 0
    moment, _, last_id = cursor.rpartition("_")
    try:
        occurred_at, item_id = PLACE.validate_python((datetime.fromisoformat(moment.replace(" ", "+")), last_id))
        return occurred_at.astimezone(UTC), item_id
    except (ValueError, OverflowError):
        detail = f"The cursor {cursor} was not made here; start again without one."
        raise Problem(422, "BAD_CURSOR", "Bad cursor", detail, cursor=cursor) from None
