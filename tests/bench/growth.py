"""Ingest into a ledger that holds ten million items already: windows of ours and of raw COPY in turn, in the same tables."""

from collections.abc import Sequence

from shared.runtime.database import Database
from shared.runtime.kafka import declare_topics
from shared.runtime.settings import Settings
from shared.runtime.transport import Outgoing
from tests.bench.feed import EVENTS, orders, raw_copy, send
from tests.bench.ingest import PARTITIONS, RAW, ROUNDS
from tests.bench.items import MANY_ACCOUNTS, fill_with_ten_millions
from tests.bench.report import Measured, median
from tests.bench.stand import Stand
from tests.bench.team import team


async def at_10m(stand: Stand) -> list[Measured]:
    """Each window has orders of its own, sent before its worker starts."""
    bootstrap = stand.kafka("windows")
    await declare_topics(Settings(kafka_bootstrap=bootstrap))
    windows = [orders(MANY_ACCOUNTS, EVENTS, number * EVENTS) for number in range(2 * ROUNDS)]
    ours, copied = [], []
    async with stand.ledger() as database:
        await fill_with_ten_millions(database)
        for number in range(ROUNDS):
            copied.append(await raw_copy(database, windows[ROUNDS + number]))
            ours.append(await _window(database, bootstrap, windows[number], (number + 1) * EVENTS))
    return [Measured("ingest.at_10m", median(ours), "events/s", ROUNDS, RAW, median(copied))]


async def _window(database: Database, bootstrap: str, records: Sequence[Outgoing], end: int) -> float:
    await send(bootstrap, records)
    async with team(database, bootstrap, 1, PARTITIONS) as ready:
        return len(records) / await ready.drain(end)
