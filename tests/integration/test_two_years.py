"""Two years of two services, a day at a time: what leaves has left, tables and indexes are no larger than what they hold, and who looks
for work reads no more at the end than when the first rows left. Days are given, not waited for; buffers are counted, not seconds.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.invoicing.app import build as invoicing
from services.notification.app import build as notification
from shared.runtime import health, parked, retention
from shared.runtime.clock import VirtualClock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.partitions import DAYS_AHEAD, PARTITIONS, tend_partitions
from shared.runtime.queues import QueueReader
from shared.runtime.retention import Retention, sweep
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from tests.support.counted import BUFFERS, open_counted
from tests.support.databases import Databases

pytestmark = pytest.mark.database

BEGAN = datetime(2024, 1, 1, 3, tzinfo=UTC)
DAYS, A_DAY = 729, 40
"""How many days, and how many events, messages and notices each of them has."""
VACUUM_EACH, STEADY = 28, 224
"""How often a vacuum comes by, and from which day on as much leaves as comes. Looks are taken then and at the end, before a vacuum."""
OUTBOX_DAYS, INBOX_DAYS, PARKED_DAYS, IDEMPOTENCY_DAYS, NOTICE_DAYS = 30, 60, 120, 90, 180
OPEN_EACH = 100
"""One record of each such day is parked and nobody ever decides on it, and one notice never leaves."""
BLOAT, ROOM_BYTES = 2.0, 100_000
"""A table may be that much larger than one that was just filled with the same rows: rows that left make room for those that come."""
MORE, FEW = 1.2, 10
"""What a look may read at the end, by what it read when the first rows left, in buffers."""

RUNTIME_DAY = """
    INSERT INTO runtime.consumer_offset AS o (consumer, topic, "partition", next_offset, applied, duplicate, parked, skipped)
    SELECT 'c', 't', p, {last} + 1, 0, 0, 0, 0 FROM generate_series(0, 2) AS p
    ON CONFLICT (consumer, topic, "partition") DO UPDATE SET next_offset = excluded.next_offset;
    INSERT INTO runtime.inbox (source, event_id, digest, topic, "partition", "offset", received_at)
    SELECT '/upstream', CASE n WHEN {first} THEN '{first}' ELSE gen_random_uuid()::text END, '\\x00112233445566778899aabbccddeeff',
        't', n % 3, n, '{at}' FROM generate_series({first}, {last}) AS n;
    INSERT INTO runtime.record_attempt (consumer, topic, "partition", "offset", tries) VALUES ('c', 't', 0, {first}, 1);
    INSERT INTO runtime.outbox (created_at, records)
    SELECT '{at}', jsonb_build_array(repeat('x', 300)) FROM generate_series({first}, {last}) AS n;
    UPDATE runtime.outbox SET sent_at = '{at}' WHERE sent_at IS NULL AND created_at = '{at}';
    INSERT INTO runtime.parked (consumer, topic, "partition", "offset", value, header_names, header_values, reason, text,
        received_at, parked_at, event_source, event_id)
    SELECT 'c', 't', 0, n, convert_to(repeat('x', 400), 'UTF8'), '{{}}', '{{}}', 'ODD', '', '{at}', '{at}', '/upstream', n::text
    FROM generate_series({first}, {first} + 2) AS n;
    UPDATE runtime.parked SET status = 'redriven', changed_at = '{at}'
    WHERE status = 'open' AND "offset" >= {first} AND NOT ("offset" = {first} AND {stays});
"""
NOTIFICATION_DAY = """
    INSERT INTO notice (account_id, kind, channel, request_id, part_id, subject, text, files, status, created_at, ended_at, due_at)
    SELECT n % 50, 'invoice_issued', CASE WHEN sent THEN 'inbox' ELSE 'mail' END, n, n, 'subject', repeat('x', 100), '[]',
        CASE WHEN sent THEN 'sent' ELSE 'pending' END, '{at}', CASE WHEN sent THEN timestamptz '{at}' END, 'infinity'
    FROM (SELECT n, NOT (n = {first} AND {stays}) AS sent FROM generate_series({first}, {last}) AS n) AS days;
"""
INVOICING_DAY = """
    INSERT INTO idempotency (account_id, operation, key, digest, made_id, created_at)
    SELECT n % 50, 'request', 'key-' || n, '\\x00112233445566778899aabbccddeeff', n, '{at}' FROM generate_series({first}, {last}) AS n;
    INSERT INTO part (account_id, part_id, request_id, part_no, reservation_id, subject, legal_entity, content, tax_percent, kind,
        gross_fen, net_fen, tax_fen, shares, lines, status, number, issued_at)
    SELECT n % 50, n, n, 1, n, 'S', 'L', 'C', 6, 'general', 106, 100, 6, '[]', '[]', 'issued', lpad(n::text, 20, '0'), '{at}'
    FROM generate_series({first}, {last}) AS n;
    INSERT INTO invoice_file_job (account_id, part_id, status, due_at)
    SELECT n % 50, n, 'stored', '{at}' FROM generate_series({first}, {last}) AS n;
"""
"""Parts and what belongs to them stay for ever; who looks for those that are due must not read the others."""


@dataclass
class Played:
    """One service whose days are played, in steps, and what looking for work read: when the first rows had left, and at the end."""

    service: Service
    owner: asyncpg.Connection
    database: Database
    days: str
    retention: Retention
    step: int = 1
    looks: list[Counter[str]] = field(default_factory=list)

    async def play(self) -> None:
        for day in range(0, DAYS, self.step):
            at, first = BEGAN + timedelta(days=day), day * A_DAY
            said = {
                "first": first,
                "last": first + self.step * A_DAY - 1,
                "at": at.isoformat(),
                "stays": day % OPEN_EACH == 0,
            }
            if self.keeps_an_outbox:
                await tend_partitions(self.owner, at, self.retention.outbox_days)
            await self.owner.execute(self.days.format(**said))
            assert [one.table for one in await sweep(self.owner, self.retention, at) if one.overdue] == []
            if day in (STEADY, DAYS - 1):
                self.looks.append(await self._look(at))
            if day % VACUUM_EACH == 0:
                await self.owner.execute("VACUUM ANALYZE")

    @property
    def keeps_an_outbox(self) -> bool:
        return RUNTIME_DAY in self.days

    async def _look(self, at: datetime) -> Counter[str]:
        """What processes do again and again while there is nothing to do; and an operator who looks at what is parked."""
        runtime = Runtime(self.service, self.database, MemoryTransport(MemoryLog()), VirtualClock(at), uuid7, "1")
        BUFFERS.clear()
        assert await runtime.relay.step() is False
        await QueueReader(runtime).look()
        await health.look_at_tables(runtime)
        for runner in runtime.runners:
            assert await runner.step() is False, f"{runner.worker.name} has nothing to do"
        async with runtime.read() as db:
            await parked.parked_records(db, "open")
        await runtime.relay.finish()
        return Counter(BUFFERS)

    async def count(self, table: str) -> int:
        count: int = await self.owner.fetchval(f"SELECT count(*) FROM {table}")
        return count

    async def sizes(self, table: str) -> tuple[int, int]:
        """Of a table with its indexes, and of one that was just filled with its rows."""
        size = filled = 0
        for leaf in await retention._leaves(self.owner, table):
            await self.owner.execute(
                f"CREATE TABLE filled (LIKE {leaf} INCLUDING ALL); INSERT INTO filled OVERRIDING SYSTEM VALUE SELECT * FROM {leaf}"
            )
            size += await self.owner.fetchval("SELECT pg_total_relation_size($1::text::regclass)", leaf)
            filled += await self.owner.fetchval("SELECT pg_total_relation_size('filled')")
            await self.owner.execute("DROP TABLE filled")
        return size, filled


@pytest.fixture(params=["notification", "invoicing"])
async def play(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> AsyncIterator[Played]:
    build, days, step = BUILT[request.param]
    settings = Settings(
        _env_file=None,
        documents_url=tmp_path.as_uri(),
        idempotency_days=IDEMPOTENCY_DAYS,
        notice_days=NOTICE_DAYS,
    )
    service = build(settings)
    dsn, roles = await databases.dsn(service.migrations)
    owner, database = await asyncpg.connect(dsn), await open_counted(dsn, roles)
    yield Played(service, owner, database, days, Retention(OUTBOX_DAYS, INBOX_DAYS, PARKED_DAYS, service.kept), step)
    await owner.close()
    await database.close()
    await databases.drop(dsn)


BUILT = {
    "notification": (notification, RUNTIME_DAY + NOTIFICATION_DAY, 1),
    "invoicing": (invoicing, INVOICING_DAY, 7),
}
OPEN = -(-DAYS // OPEN_EACH)
HELD = {
    "runtime.inbox": (A_DAY * INBOX_DAYS, A_DAY * 2 + OPEN),
    "runtime.parked": (3 * PARKED_DAYS, 3 + OPEN),
    "runtime.record_attempt": (0, 1),
    "runtime.outbox": (A_DAY * OUTBOX_DAYS, A_DAY),
    "notice": (A_DAY * NOTICE_DAYS, A_DAY + OPEN),
    "idempotency": (A_DAY * IDEMPOTENCY_DAYS, A_DAY * 7),
}
"""Rows that are there at the end: at least, and how many more at most (of the day or week that ends, and what is never decided on)."""


async def test_after_two_years_there_is_what_is_kept_and_looking_reads_no_more(play: Played) -> None:
    await play.play()
    tables = [kept.table for kept in play.service.kept]
    tables += [table for table in HELD if table.startswith("runtime.")] if play.keeps_an_outbox else []
    for table in tables:
        least, more = HELD[table]
        assert least <= await play.count(table) <= least + more, table
        size, filled = await play.sizes(table)
        assert size <= BLOAT * filled + ROOM_BYTES, table
    if play.keeps_an_outbox:
        there = [row["relname"] for row in await play.owner.fetch(PARTITIONS)]
        assert len([one for one in there if one < "outbox_2026"]) <= OUTBOX_DAYS + DAYS_AHEAD + 1
        open_events = "SELECT count(*) FROM runtime.inbox i JOIN runtime.parked p ON p.event_id = i.event_id AND p.status = 'open'"
        assert (
            await play.owner.fetchval(open_events) == await play.count("runtime.parked WHERE status = 'open'") == OPEN
        )
    before, after = play.looks
    assert {query: (before[query], read) for query, read in after.items() if read > MORE * before[query] + FEW} == {}
