"""Many reservations at once. Nothing may be held twice; deadlocks are counted, because each costs a second and a repeat."""

import asyncio
import time
from functools import partial

from shared.contracts.ledger import BalanceReserved, ReserveBalance
from shared.runtime.database import Database
from shared.runtime.service import Runtime
from tests.bench.items import FEN, a_thousand_accounts, one_account_of_a_thousand
from tests.bench.large import reserve
from tests.bench.report import Measured, median
from tests.bench.retrying import Retrying
from tests.bench.stand import Fill, Stand, in_memory

ROUNDS, AT_ONCE = 5, 16
ASKS, ITEMS = 600, 2
"""Together more than one account of a thousand items has."""

HELD = """
    SELECT (SELECT coalesce(sum(reserved_fen), 0) FROM item) AS items, (SELECT sum(reserved_fen) FROM balance_sum) AS sums,
        (SELECT coalesce(sum(reserved_fen), 0) FROM allocation) AS reservations,
        (SELECT count(*) FROM item WHERE invoiceable_fen < 0) AS overspent
"""


class Race:
    """As many askers at once, each with the next question of the list."""

    def __init__(self, runtime: Runtime, accounts: int) -> None:
        self._runtime = runtime
        self._asks = iter([self._ask(number, 1 + number % accounts) for number in range(1, ASKS + 1)])
        self.retrying = Retrying()
        self.held_fen = 0

    @staticmethod
    def _ask(number: int, account: int) -> ReserveBalance:
        return ReserveBalance(account_id=account, request_id=number, accounts=(account,), amount_fen=ITEMS * FEN)

    async def run(self) -> float:
        """Answers a second."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._one_after_the_other())
        return ASKS / (time.perf_counter() - began)

    async def _one_after_the_other(self) -> None:
        for ask in self._asks:
            (answer,) = await self.retrying.until_done(partial(reserve, self._runtime, ask))
            self.held_fen += answer.total_fen if isinstance(answer, BalanceReserved) else 0


async def one_account(stand: Stand) -> list[Measured]:
    return await _race(stand, "reserve.race.one_account", one_account_of_a_thousand, 1)


async def thousand_accounts(stand: Stand) -> list[Measured]:
    return await _race(stand, "reserve.race.1000_accounts", a_thousand_accounts, 1000)


async def _race(stand: Stand, bench: str, fill: Fill, accounts: int) -> list[Measured]:
    rates, deadlocks = [], []
    for _ in range(ROUNDS):
        async with stand.ledger(fill, connections=AT_ONCE) as database:
            race = Race(in_memory(database), accounts)
            rates.append(await race.run())
            deadlocks.append(race.retrying.deadlocks)
            await no_overspend(database, race.held_fen)
    return [
        Measured(bench, median(rates), "asks/s", ROUNDS),
        Measured(f"{bench}.deadlocks", sum(deadlocks), f"of {ROUNDS * ASKS}", ROUNDS),
    ]


async def no_overspend(database: Database, answered_fen: int) -> None:
    """What was answered is what is held, whichever way it is counted."""
    async with database.read() as db:
        held = await db.fetchrow(HELD)
    assert held is not None
    assert tuple(held) == (answered_fen, answered_fen, answered_fen, 0), (dict(held), answered_fen)
