"""Reservations on an account of a million open items, by amount, through the real handler; the largest through its workers as well."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Self

from services.ledger.booking.handlers import release_reservation
from services.ledger.intake.handlers import billing_facts
from services.ledger.reservations.handlers import reserve_balance
from shared.contracts.billing import Line, OrderPaid
from shared.contracts.ledger import BalanceReserved, LedgerCommand, ReleaseReservation, ReserveBalance
from shared.contracts.message import Message
from shared.domain.catalogue import Catalogue
from shared.runtime.database import Database
from shared.runtime.memory import MemoryTransport
from shared.runtime.service import Runtime
from tests.bench.items import BEGINNING, FEN, MILLION, one_account_of_a_million
from tests.bench.report import Measured, median
from tests.bench.retrying import Retrying
from tests.bench.stand import HeardLog, Stand, in_memory

ACCOUNT, ROUNDS_SMALL, ROUNDS_ALL, ROUNDS_BESIDE = 1, 15, 5, 3
PROBE_PAUSE_SECONDS = 0.005
ANSWER_SECONDS_MAX = 600.0

BARE_UPDATE = """
    UPDATE item SET invoiceable_fen = invoiceable_fen - 100, reserved_fen = reserved_fen + 100 WHERE account_id = $1 AND item_id = ANY ($2)
"""

BARE_STEP_ITEMS, BARE_CONNECTIONS = 500, 2
BARE_STEP = """
    WITH taken AS (
        SELECT item_id, invoiceable_fen AS fen FROM item WHERE account_id = $1 AND item_id BETWEEN $2 AND $3 ORDER BY item_id FOR UPDATE
    ), changed AS (
        UPDATE item i SET invoiceable_fen = i.invoiceable_fen - t.fen, reserved_fen = i.reserved_fen + t.fen
        FROM taken t WHERE i.account_id = $1 AND i.item_id = t.item_id
    ), moved AS (
        INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
        SELECT $1, item_id, 'invoiceable', 'reserved', fen, 'request 1', now() FROM taken
    )
    INSERT INTO allocation (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
    SELECT $1, 1, $1, item_id, 1, item_id, fen FROM taken
"""


def ask_for(request_id: int, items: int) -> ReserveBalance:
    return ReserveBalance(account_id=ACCOUNT, request_id=request_id, accounts=(ACCOUNT,), amount_fen=items * FEN)


async def reserve(runtime: Runtime, ask: ReserveBalance) -> list[Message]:
    async with runtime.database.transaction() as db:
        return await reserve_balance(ask, db, runtime.clock.now())


async def milliseconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def small(stand: Stand) -> list[Measured]:
    """Ten and a thousand items; beside the thousand, a bare UPDATE of as many items of the same account, the youngest first."""
    ten: list[float] = []
    thousand: list[float] = []
    bare: list[float] = []
    async with stand.ledger(one_account_of_a_million) as database:
        runtime = in_memory(database)
        for number in range(1, ROUNDS_SMALL + 1):
            for found, items in ((ten, 10), (thousand, 1000)):
                began = time.perf_counter()
                (answer,) = await reserve(runtime, ask_for(number * 10_000 + items, items))
                found.append((time.perf_counter() - began) * 1000)
                assert isinstance(answer, BalanceReserved)
                assert sum(group.count for group in answer.groups) == items
            bare.append(await milliseconds(_bare_update(database, MILLION - number * 1000, 1000)))
    return [
        Measured("reserve.1m.10", median(ten), "ms", ROUNDS_SMALL),
        Measured("reserve.1m.1000", median(thousand), "ms", ROUNDS_SMALL, "bare UPDATE of 1,000 items", median(bare)),
    ]


async def _bare_update(database: Database, first: int, items: int) -> None:
    async with database.transaction() as db:
        done = await db.execute(BARE_UPDATE, ACCOUNT, list(range(first, first + items)))
        assert done == f"UPDATE {items}"


@dataclass
class Probes:
    """How long others of the same account wait: one takes in an order, then asks for one fen of it all, again and again."""

    runtime: Runtime
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    waits: list[float] = field(default_factory=list)
    retrying: Retrying = field(default_factory=Retrying)

    async def one(self) -> None:
        number = next(self.numbers)
        ask = ask_for(10_000_000 + number, 1).model_copy(update={"amount_fen": 1})
        for work in (partial(self._accept, number), partial(reserve, self.runtime, ask)):
            self.waits.append(await milliseconds(self.retrying.until_done(work)))

    async def _accept(self, number: int) -> None:
        line = Line(subject="ALIYUN_SERVICE", item_name="云服务器", cash_fen=FEN)
        order = OrderPaid(account_id=ACCOUNT, number=f"Q{number}", occurred_at=BEGINNING, lines=(line,))
        async with self.runtime.database.transaction() as db:
            await billing_facts([order], db, self.runtime.clock.now(), catalogue=Catalogue.load())

    async def again_and_again(self) -> None:
        while True:
            await self.one()
            await asyncio.sleep(PROBE_PAUSE_SECONDS)

    async def longest(self, while_this: Awaitable[object]) -> float:
        """The longest wait of those that began while something else was under way."""
        self.waits = []
        probing = asyncio.create_task(self.again_and_again())
        try:
            await while_this
        finally:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
        return max(self.waits)


async def everything(stand: Stand) -> list[Measured]:
    """All of it: from the question to the answer in the log, workers and relay running as they do in the process."""
    ours, bare = [], []
    for _ in range(ROUNDS_ALL):
        async with stand.ledger(one_account_of_a_million) as database, running(database) as runtime:
            ours.append(await _reserve(runtime))
        async with stand.ledger(one_account_of_a_million) as database:
            bare.append(await milliseconds(_bare_reserve(database)) / 1000)
    return [Measured("reserve.1m.all", median(ours), "s", ROUNDS_ALL, "the same rows by bare SQL", median(bare))]


@dataclass
class Beside:
    """How long a large reservation and its release take while others of the account go on as fast as they can, and how long those wait."""

    alone_ms: list[float] = field(default_factory=list)
    reserve_seconds: list[float] = field(default_factory=list)
    reserve_ms: list[float] = field(default_factory=list)
    release_seconds: list[float] = field(default_factory=list)
    release_ms: list[float] = field(default_factory=list)
    deadlocks: int = 0

    @classmethod
    async def of(cls, stand: Stand) -> Self:
        found = cls()
        for _ in range(ROUNDS_BESIDE):
            async with stand.ledger(one_account_of_a_million) as database, running(database) as runtime:
                await found.round(runtime)
        return found

    async def round(self, runtime: Runtime) -> None:
        probes = Probes(runtime)
        await probes.one()
        self.alone_ms.append(await probes.longest(asyncio.sleep(2)))

        async def both(seconds: list[float], work: Awaitable[float]) -> None:
            seconds.append(await work)

        self.reserve_ms.append(await probes.longest(both(self.reserve_seconds, _reserve(runtime))))
        self.release_ms.append(await probes.longest(both(self.release_seconds, _release(runtime))))
        self.deadlocks += probes.retrying.deadlocks

    def waits(self, name: str) -> list[Measured]:
        beside = ("the same with nothing under way", median(self.alone_ms))
        return [
            Measured(f"reserve.1m.{name}", max(self.reserve_ms), "ms", ROUNDS_BESIDE, *beside),
            Measured(f"release.1m.{name}", max(self.release_ms), "ms", ROUNDS_BESIDE, *beside),
        ]


async def beside_others(stand: Stand) -> list[Measured]:
    """A lock is the ledger's matter, the rest of a wait the disk's: with the server's files in memory there are only locks."""
    disk, lone = await Beside.of(stand), Stand(on_disk=False)
    try:
        memory = await Beside.of(lone)
    finally:
        lone.stop()
    return [
        Measured("reserve.1m.all_beside_others", median(disk.reserve_seconds), "s", ROUNDS_BESIDE),
        Measured("release.1m.all_beside_others", median(disk.release_seconds), "s", ROUNDS_BESIDE),
        *memory.waits("longest_lock"),
        *disk.waits("longest_wait"),
        Measured("reserve.1m.deadlocks", disk.deadlocks + memory.deadlocks, "in all", 2 * ROUNDS_BESIDE),
    ]


async def _bare_reserve(database: Database) -> None:
    """The rows that a reservation of everything writes, by SQL alone: nothing chosen, decided or published."""
    async with database.read() as db:
        first = await db.fetchval("SELECT min(item_id) FROM item WHERE account_id = $1", ACCOUNT)
    starts = iter(range(first, first + MILLION, BARE_STEP_ITEMS))

    async def steps() -> None:
        for start in starts:
            async with database.transaction() as db:
                await db.execute(BARE_STEP, ACCOUNT, start, start + BARE_STEP_ITEMS - 1)

    await asyncio.gather(*(steps() for _ in range(BARE_CONNECTIONS)))


async def _reserve(runtime: Runtime) -> float:
    return await _timed(runtime, reserve_balance, ask_for(1, MILLION), "BalanceReserved")


async def _release(runtime: Runtime) -> float:
    release = ReleaseReservation(account_id=ACCOUNT, request_id=1)
    return await _timed(runtime, release_reservation, release, "ReservationReleased")


async def _timed(
    runtime: Runtime, handler: Callable[..., Awaitable[list[Message]]], ask: LedgerCommand, answer: str
) -> float:
    """Seconds from the question to the answer."""
    began = time.perf_counter()
    async with runtime.database.transaction() as db:
        assert not await handler(ask, db, runtime.clock.now()), "it is large, so a worker answers"
    await answered(runtime, answer, ask.request_id)
    return time.perf_counter() - began


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[Runtime]:
    runtime = in_memory(database)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop()


async def answered(runtime: Runtime, kind: str, request_id: int) -> None:
    """Until the relay has sent it."""
    assert isinstance(runtime.transport, MemoryTransport)
    assert isinstance(runtime.transport.log, HeardLog)
    mark = f'"request_id":{request_id},'.encode()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        await runtime.transport.log.heard(kind.encode(), mark)
