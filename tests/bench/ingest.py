"""From undecoded records to committed balances, beside PostgreSQL's own COPY of the same items into the same table."""

import time
from datetime import UTC, datetime, timedelta

import asyncpg
from pydantic import TypeAdapter

from services.ledger.app import build
from services.ledger.domain.intake import NewItem, sort_out
from shared.contracts.billing import Line, OrderPaid
from shared.domain.catalogue import Catalogue
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.envelope import write
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.transport import Partition, Record
from tests.bench.report import Measured, median
from tests.databases import Databases

EVENTS, BATCH, ACCOUNTS, ROUNDS = 40_000, 2_000, 10_000, 3
AT = datetime(2026, 3, 10, tzinfo=UTC)
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_TELECOM", "BAINIAN_SERVICE", "TONGYI_SERVICE")
COLUMNS = (
    *(
        "account_id",
        "kind",
        "number",
        "line",
        "digest",
        "contract_number",
        "cycle",
        "subject",
        "content",
        "tax_percent",
    ),
    *("product_code", "item_name", "spec", "order_type", "list_fen", "voucher_fen", "occurred_at", "opens_at", "settled_fen"),
)
ADDED = ("invoiceable_fen", "arrived_at", "catalogue_version")


def records(accounts: int) -> list[Record]:
    """Orders as they lie in Kafka: bytes."""
    partition = Partition("billing.events", 0)
    found = []
    for number in range(EVENTS):
        line = Line(subject=SUBJECTS[number % 5], item_name="云服务器", cash_fen=100 + number)
        at = AT + timedelta(seconds=number)
        order = OrderPaid(
            account_id=1 + number * 7919 % accounts, number=f"O{number:08d}", occurred_at=at, lines=(line,)
        )
        outgoing = write(order, uuid7(), "/upstream/billing", AT, None)
        found.append(Record(partition, number, outgoing.key, outgoing.value, outgoing.headers))
    return found


async def ours(database: Database, batch: list[Record]) -> float:
    service = build(Settings())
    runtime = Runtime(service, database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    consumer = runtime.consumers["ledger.billing.events"]
    began = time.perf_counter()
    for start in range(0, EVENTS, BATCH):
        await consumer.on_batch(batch[start : start + BATCH])
    return EVENTS / (time.perf_counter() - began)


async def raw_copy(database: Database, batch: list[Record]) -> float:
    """As the owner: PostgreSQL takes no COPY into a table with row-level security from anybody else."""
    adapter, catalogue = TypeAdapter(OrderPaid), Catalogue.load()
    owner = await asyncpg.connect(database.dsn)
    began = time.perf_counter()
    for start in range(0, EVENTS, BATCH):
        facts = [adapter.validate_json(record.value or b"") for record in batch[start : start + BATCH]]
        rows = [_row(item, catalogue.version) for item in sort_out(facts, catalogue).items]
        async with owner.transaction():
            await owner.copy_records_to_table("item", records=rows, columns=[*COLUMNS, *ADDED])
    seconds = time.perf_counter() - began
    await owner.close()
    return EVENTS / seconds


def _row(item: NewItem, version: str) -> tuple[object, ...]:
    values = [getattr(item, name) for name in COLUMNS]
    return (*values, item.settled_fen, AT, version)


async def measure(databases: Databases, bench: str, accounts: int) -> Measured:
    batch, folder = records(accounts), build(Settings()).migrations
    ours_found: list[float] = []
    raw_found: list[float] = []
    for _ in range(ROUNDS):
        for work, found in ((raw_copy, raw_found), (ours, ours_found)):
            database = await databases.open(folder)
            found.append(await work(database, batch))
            await database.close()
            await databases.drop(database.dsn)
    return Measured(bench, median(ours_found), "events/s", ROUNDS, "raw COPY of the items", median(raw_found))
