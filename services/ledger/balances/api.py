"""Balances, months and cash of an account."""

from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query

from services.ledger.balances import store
from services.ledger.balances.rules import balance, withdrawable_fen
from services.ledger.journal.rules import NEVER
from services.ledger.queries.asking import OfSums, Past
from shared.contracts.http.ledger import Cash, Month
from shared.contracts.ledger import Balance
from shared.contracts.message import AccountId
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()

    @router.get("/balances")
    async def balances(account_id: AccountId, asked: Annotated[Past, Query()]) -> list[Balance]:
        now = runtime.clock.now()
        as_of = asked.moment(now)
        async with runtime.read(account_id) as db:
            sums = store.sums(db, account_id, now) if as_of is None else store.past_sums(db, account_id, as_of)
            return [balance(one) for one in await sums]

    @router.get("/months")
    async def months(account_id: AccountId, asked: Annotated[OfSums, Query()]) -> list[Month]:
        now = runtime.clock.now()
        async with runtime.read(account_id) as db:
            rows = await store.months(db, account_id, asked.filters())

        def month(row: Record) -> Month:
            never = row["opens_at"] == NEVER
            state = "not_invoiceable" if never else "open" if row["opens_at"] <= now else "not_open_yet"
            net_fen = row["available_fen"] - row["deficit_fen"]
            shown = dict(row) | {"state": state, "invoiceable_net_fen": net_fen}
            return Month.model_validate(shown | ({"opens_at": None} if never else {}))

        return [month(row) for row in rows]

    @router.get("/cash")
    async def cash(account_id: AccountId) -> Cash:
        async with runtime.read(account_id) as db:
            cash_fen = await store.cash_fen(db, account_id)
            sums = await store.sums(db, account_id, runtime.clock.now())
        deficit_fen = -sum(one.negative_fen for one in sums)
        return Cash(cash_fen=cash_fen, withdrawable_fen=withdrawable_fen(cash_fen, deficit_fen))

    return router
