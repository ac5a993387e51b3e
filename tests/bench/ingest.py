"""From records in Kafka to committed balances: the ledger's own processes, beside raw COPY and beside each other."""

import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from shared.runtime.database import Database
from shared.runtime.settings import Settings
from shared.runtime.transport import Partition, Record
from tests.bench.feed import ACCOUNTS, BATCH, EVENTS, log_of, orders, raw_copy
from tests.bench.report import Measured, median
from tests.bench.stand import Stand, in_memory
from tests.bench.team import Team, busy_seconds, cpu_seconds, team

ROUNDS = 5
CORES = os.cpu_count() or 1
MANY = 200_000
RAW = "raw COPY of the items"
PARTITIONS = Settings().topic_partitions

Way = Callable[[Database], Awaitable[float]]


async def rounds(stand: Stand, *ways: Way) -> list[list[float]]:
    """Each way in turn, on a fresh database each time."""
    found: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, values in zip(ways, found, strict=True):
            async with stand.ledger() as database:
                values.append(await way(database))
    return found


def raw(accounts: int = ACCOUNTS) -> Way:
    records = orders(accounts)
    return lambda database: raw_copy(database, records)


async def from_kafka(stand: Stand, accounts: int = ACCOUNTS) -> Way:
    bootstrap = await log_of(stand, accounts)

    async def way(database: Database) -> float:
        async with team(database, bootstrap, 1, PARTITIONS) as ready:
            return EVENTS / await ready.drain(EVENTS)

    return way


async def from_memory(stand: Stand) -> list[Measured]:
    """What is left of it without Kafka: the pipeline alone, fed from memory, in this process."""
    partition = Partition("billing.events", 0)
    records = [Record(partition, at, one.key, one.value, one.headers) for at, one in enumerate(orders(ACCOUNTS))]

    async def ours(database: Database) -> float:
        consumer = in_memory(database).consumers["ledger.billing.events"]
        began = time.perf_counter()
        for start in range(0, EVENTS, BATCH):
            await consumer.on_batch(records[start : start + BATCH])
        return EVENTS / (time.perf_counter() - began)

    copied, found = await rounds(stand, raw(), ours)
    return [Measured("ingest.from_memory", median(found), "events/s", ROUNDS, RAW, median(copied))]


async def one_worker(stand: Stand) -> list[Measured]:
    copied, found = await rounds(stand, raw(), await from_kafka(stand))
    return [Measured("ingest.one_worker", median(found), "events/s", ROUNDS, RAW, median(copied))]


async def hot_account(stand: Stand) -> list[Measured]:
    one, hot = await rounds(stand, await from_kafka(stand), await from_kafka(stand, accounts=1))
    return [Measured("ingest.hot_account", median(hot), "events/s", ROUNDS, "ingest.one_worker", median(one))]


async def all_workers(stand: Stand) -> list[Measured]:
    """Two processes on two cores: who used them says what is full."""
    bootstrap = await log_of(stand, ACCOUNTS, workers=2)
    used: dict[str, list[float]] = defaultdict(list)

    async def two(database: Database) -> float:
        async with team(database, bootstrap, 2, PARTITIONS) as ready:
            before = _cpu(stand, bootstrap, ready)
            seconds = await ready.drain(EVENTS)
            for name, after in _cpu(stand, bootstrap, ready).items():
                used[name].append(100 * (after - before[name]) / seconds / CORES)
            return EVENTS / seconds

    one, found = await rounds(stand, await from_kafka(stand), two)
    machine = median(used["machine"])
    return [
        Measured("ingest.all_workers", median(found), "events/s", ROUNDS, "ingest.one_worker", median(one)),
        *(
            Measured(
                f"ingest.all_workers.cpu.{name}", median(shares), f"% of {CORES}", ROUNDS, "all that was used", machine
            )
            for name, shares in used.items()
        ),
    ]


def _cpu(stand: Stand, bootstrap: str, ready: Team) -> dict[str, float]:
    (kafka,) = (one for one in stand.kafkas.values() if one.bootstrap == bootstrap)
    return {
        "kafka": sum(map(cpu_seconds, kafka.pids.values())),
        "postgres": cpu_seconds(stand.postgres.pid),
        "machine": busy_seconds(),
        "workers": sum(cpu_seconds(worker.pid) for worker in ready.workers),
    }


async def memory(stand: Stand) -> list[Measured]:
    """Flat, if the second half's peak is that of the first."""
    bootstrap = await log_of(stand, ACCOUNTS, MANY)
    firsts, peaks, ends = [], [], []
    for _ in range(ROUNDS):
        async with stand.ledger() as database, team(database, bootstrap, 1, PARTITIONS) as ready:
            await ready.drain(MANY)
            seen = ready.resident_mb
            firsts.append(max(seen[: len(seen) // 2]))
            peaks.append(max(seen))
            ends.append(seen[-1])
    return [
        Measured("ingest.memory", median(peaks), "MB", ROUNDS, "peak of the first half", median(firsts)),
        Measured("ingest.memory.end", median(ends), "MB", ROUNDS),
    ]
