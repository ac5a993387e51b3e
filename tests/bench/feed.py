"""Orders as they lie in Kafka; Kafka filled with them; and the yardstick, PostgreSQL's own COPY of the same items into the same table."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from pydantic import TypeAdapter

from services.ledger.intake import store as items
from services.ledger.intake.rules import NewItem, sort_out
from shared.contracts.billing import Line, OrderPaid
from shared.domain.catalogue import Catalogue
from shared.runtime.clock import Clock, uuid7_of
from shared.runtime.database import Database
from shared.runtime.envelope import write
from shared.runtime.kafka import KafkaTransport, declare_topics
from shared.runtime.settings import Settings
from shared.runtime.transport import Outgoing
from tests.bench.stand import Stand

EVENTS, BATCH, ACCOUNTS = 40_000, 2_000, 10_000
SEND = 5_000
AT = datetime(2026, 3, 10, tzinfo=UTC)
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_TELECOM", "BAINIAN_SERVICE", "TONGYI_SERVICE")
ADDED = ("invoiceable_fen", "arrived_at", "catalogue_version")


def orders(accounts: int, events: int = EVENTS, first: int = 0) -> list[Outgoing]:
    """Always the same ones, one line each; `first` numbers them."""
    found = []
    for number in range(first, first + events):
        line = Line(subject=SUBJECTS[number % 5], item_name="云服务器", cash_fen=100 + number % 100_000)
        order = OrderPaid(
            account_id=1 + number * 7919 % accounts,
            number=f"O{number:09d}",
            occurred_at=AT + timedelta(seconds=number % 86_400),
            lines=(line,),
        )
        found.append(write(order, uuid7_of(number, number), "/upstream/billing", AT, None))
    return found


async def send(bootstrap: str, records: Sequence[Outgoing]) -> None:
    transport = KafkaTransport(Settings(kafka_bootstrap=bootstrap), "upstream", Clock())
    for start in range(0, len(records), SEND):
        await transport.send(records[start : start + SEND])
    await transport.stop()


async def log_of(stand: Stand, accounts: int, events: int = EVENTS, workers: int = 1) -> str:
    """Address of a Kafka that holds these orders. What a topic holds cannot be taken back, and a group waits half a minute for a worker
    that is gone: so each kind has one of its own.
    """
    name = f"{events} orders of {accounts} for {workers}"
    if name not in stand.kafkas:
        bootstrap = stand.kafka(name)
        await declare_topics(Settings(kafka_bootstrap=bootstrap))
        await send(bootstrap, orders(accounts, events))
    return stand.kafkas[name].bootstrap


async def raw_copy(database: Database, records: Sequence[Outgoing]) -> float:
    """Events a second. As the owner: PostgreSQL takes no COPY into a table with row-level security from anybody else."""
    adapter, catalogue = TypeAdapter(OrderPaid), Catalogue.load()
    owner = await asyncpg.connect(database.dsn)
    began = time.perf_counter()
    for start in range(0, len(records), BATCH):
        facts = [adapter.validate_json(record.value) for record in records[start : start + BATCH]]
        rows = [_row(item, catalogue.version) for item in sort_out(facts, catalogue).items]
        async with owner.transaction():
            await owner.copy_records_to_table("item", records=rows, columns=[*items.COLUMNS, *ADDED])
    seconds = time.perf_counter() - began
    await owner.close()
    return len(records) / seconds


def _row(item: NewItem, version: str) -> tuple[object, ...]:
    values = items.ITEM(item)
    return (*values, item.settled_fen, AT, version)
