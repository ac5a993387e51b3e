"""What leaves by itself, and what that must not do: count an event twice, lose a record that nobody has decided on, or hold anybody up."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from shared.contracts.message import Unacceptable
from shared.runtime import migrations, parked, retention
from shared.runtime.database import create_database
from shared.runtime.dsn import with_database
from shared.runtime.retention import ROUND_SECONDS, SOON_SECONDS, Kept, Retention, sweep, sweep_once
from shared.runtime.roles import roles_of
from shared.runtime.transport import Assigned, LogDiffers, Record
from shared.runtime.watchdog import Watchdog
from tests.support.counting import COMMANDS, NOW, Counting, Stand
from tests.support.databases import Databases
from tests.support.lines import lines_of, logging_as, told

pytestmark = pytest.mark.database

DAYS = 60
KEPT = Retention(outbox_days=60, inbox_days=DAYS, parked_days=400)
INBOX = "SELECT count(*) FROM runtime.inbox"
OF_BEFORE = """
    INSERT INTO runtime.inbox (source, event_id, digest, topic, "partition", "offset", received_at)
    VALUES ('s', 'e{n}', '', 't', 0, {n}, '2026-03-01Z');
    INSERT INTO runtime.consumer_offset (consumer, topic, "partition", next_offset, applied, duplicate, parked, skipped)
    VALUES ('c', 't', 0, 2, 1, 0, 0, 0) ON CONFLICT DO NOTHING;
"""
"""As versions before wrote it."""
A_MOMENT = timedelta(microseconds=1)


@pytest.fixture
async def owner(stand: Stand) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(stand.database.dsn)
    yield db
    await db.close()


async def days_pass(stand: Stand, owner: asyncpg.Connection, days: float) -> None:
    """And then a round that says what may leave, and one in which it does."""
    stand.clock.advance(days * 86_400)
    for _ in range(2):
        await sweep(owner, KEPT, stand.clock.now())


async def reason_of(stand: Stand, parked_id: int) -> str | None:
    """Of an open record, after it was redriven."""
    return (await stand.redriven(parked_id)).get("reason")


async def gone_for_others(stand: Stand, owner: asyncpg.Connection) -> None:
    """The partition goes on, and what was settled with these records is forgotten."""
    await stand.consumer.on_batch([stand.arrived(100), stand.arrived(101)])
    await days_pass(stand, owner, 2 * DAYS)
    assert await stand.one("SELECT forgotten_through FROM runtime.consumer_offset") != -1


# the inbox


async def test_a_row_stays_for_as_long_as_is_said_and_leaves_in_the_round_after_it_was_told(
    stand: Stand, owner: asyncpg.Connection
) -> None:
    await stand.consumer.on_batch([stand.arrived(1)])
    await days_pass(stand, owner, DAYS)
    assert (await stand.one(INBOX), await stand.one("SELECT forgotten_through FROM runtime.consumer_offset")) == (1, -1)
    at = stand.clock.now() + A_MOMENT
    await sweep(owner, KEPT, at)
    assert (await stand.one(INBOX), await stand.one("SELECT forgotten_through FROM runtime.consumer_offset")) == (1, 0)
    await sweep(owner, KEPT, at)
    assert await stand.one(INBOX) == 0


async def test_a_record_that_kafka_still_has_is_never_applied_again(stand: Stand, owner: asyncpg.Connection) -> None:
    records = [stand.arrived(1), stand.arrived(2)]
    await stand.consumer.on_batch(records)
    await days_pass(stand, owner, DAYS + 1)
    assert await stand.one(INBOX) == 0
    await stand.consumer.on_batch([*records, stand.arrived(3)])
    assert await stand.effects() == [1, 2, 3]
    assert await stand.parked() == [(0, "FORGOTTEN"), (1, "FORGOTTEN")]


async def test_reading_does_not_start_where_it_is_forgotten_and_starts_behind_it(
    stand: Stand, owner: asyncpg.Connection
) -> None:
    await stand.transport.start()
    subscription = stand.transport.subscriptions[0]
    for number in (1, 2):
        stand.arrived(number)
    await stand.transport.deliver(subscription, COMMANDS, 5)
    await days_pass(stand, owner, DAYS + 1)
    await stand.transport.assign(subscription)
    assert subscription.position[COMMANDS] == 2
    stand.log.committed.clear()  # the group was away for so long that Kafka has forgotten it
    with pytest.raises(LogDiffers, match="INBOX_DAYS"):
        await stand.transport.assign(subscription)
    assert await stand.consumer.on_assigned([Assigned(COMMANDS, None, 2, start=2)]) == {COMMANDS: 0}, "it was emptied"


async def test_what_came_again_is_known_for_as_long_as_if_it_had_come_then(
    stand: Stand, owner: asyncpg.Connection
) -> None:
    await stand.consumer.on_batch([stand.arrived(1, event=9)])
    await days_pass(stand, owner, DAYS - 1)
    again = stand.arrived(1, event=9)
    await stand.consumer.on_batch([again])
    await days_pass(stand, owner, DAYS - 1)
    await stand.consumer.on_batch([again])
    assert (await stand.effects(), await stand.parked()) == ([1], [])


async def test_a_topic_that_was_made_anew_is_not_taken_for_forgotten(
    stand: Stand, owner: asyncpg.Connection, counting: Counting
) -> None:
    await a_parked_record(stand, counting, 1)
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    await owner.execute('UPDATE runtime.inbox SET "offset" = "offset" + 1000; DELETE FROM runtime.consumer_offset')
    stand.log.records[COMMANDS].clear()
    stand.started()
    await stand.consumer.on_batch([stand.arrived(3)])
    await days_pass(stand, owner, DAYS + 1)
    assert await stand.one("SELECT forgotten_through FROM runtime.consumer_offset") == 0, "of the new topic"
    await stand.consumer.on_batch([stand.arrived(4)])
    assert (await stand.effects(), await stand.parked()) == ([1, 2, 3, 4], [(0, "ODD")])
    await sweep(owner, KEPT, stand.clock.now())
    assert await stand.one(INBOX) == 2, "of the old topic only what is parked"


# parked records


async def a_parked_record(stand: Stand, counting: Counting, request_id: int, event: int = 0) -> Record:
    counting.problems = [Unacceptable("ODD", "it waits")] * 2
    record = stand.arrived(request_id, event)
    await stand.consumer.on_batch([record])
    assert (record.offset, "ODD") in await stand.parked()
    return record


async def test_a_redrive_after_a_year_takes_effect_once(
    stand: Stand, owner: asyncpg.Connection, counting: Counting
) -> None:
    record = await a_parked_record(stand, counting, 1)
    await gone_for_others(stand, owner)
    await days_pass(stand, owner, 365)
    assert await stand.redriven(1) == {"status": "redriven"}
    with pytest.raises(LookupError):
        await stand.redriven(1)
    await stand.consumer.on_batch([record])
    assert await stand.effects() == [1, 100, 101]
    await days_pass(stand, owner, DAYS + 1)
    await stand.consumer.on_batch([record])
    assert (await stand.effects(), await stand.parked()) == ([1, 100, 101], [(0, "FORGOTTEN")])


async def test_what_took_effect_by_another_record_meanwhile_stays_known_while_the_parked_one_is_open(
    stand: Stand, owner: asyncpg.Connection, counting: Counting
) -> None:
    await a_parked_record(stand, counting, 1, event=9)
    await stand.consumer.on_batch([stand.arrived(1, event=9)])
    await gone_for_others(stand, owner)
    assert await stand.one(INBOX) == 1, "all others left"
    assert await stand.redriven(1) == {"status": "redriven"}
    assert await stand.effects() == [1, 100, 101]
    await days_pass(stand, owner, DAYS + 1)
    assert await stand.one(INBOX) == 0, "nobody asks for it any more"


async def test_other_content_under_the_same_id_stays_a_conflict(stand: Stand, owner: asyncpg.Connection) -> None:
    await stand.consumer.on_batch([stand.arrived(1, event=9), stand.arrived(2, event=9)])
    await gone_for_others(stand, owner)
    assert await reason_of(stand, 1) == "CONTENT_CONFLICT"
    assert await stand.effects() == [1, 100, 101]


async def test_of_a_record_whose_event_was_not_known_when_it_was_parked_nobody_can_tell(
    stand: Stand, owner: asyncpg.Connection, counting: Counting
) -> None:
    await a_parked_record(stand, counting, 1, event=9)
    await owner.execute("UPDATE runtime.parked SET event_id = NULL")
    await stand.consumer.on_batch([stand.arrived(1, event=9)])
    await gone_for_others(stand, owner)
    assert await reason_of(stand, 1) == "FORGOTTEN"
    assert await stand.effects() == [1, 100, 101]


async def test_what_was_decided_on_leaves_and_what_is_open_never_does(
    stand: Stand, owner: asyncpg.Connection, counting: Counting
) -> None:
    for number in (1, 2, 3):
        await a_parked_record(stand, counting, number)
    await parked.dismiss(stand.database, 1, "ops", "not ours", stand.clock)
    assert await stand.redriven(2) == {"status": "redriven"}
    counting.problems = [Unacceptable("ODD", "it still waits")] * 2
    assert await reason_of(stand, 3) == "ODD"
    await days_pass(stand, owner, 400)
    assert await stand.one("SELECT count(*) FROM runtime.parked") == 3
    await days_pass(stand, owner, 1)
    assert await stand.parked() == [(2, "ODD")]
    assert await stand.one("SELECT count(*) FROM runtime.parked") == 1


# the rest


async def test_counts_of_attempts_leave_with_what_they_counted(stand: Stand, owner: asyncpg.Connection) -> None:
    await stand.consumer.on_batch([stand.arrived(1)])
    await owner.execute("INSERT INTO runtime.record_attempt SELECT consumer, topic, \"partition\", n, 2 "
        "FROM runtime.consumer_offset, generate_series(0, 1) AS n")  # fmt: skip
    await sweep(owner, KEPT, NOW)
    assert await stand.one('SELECT array_agg("offset") FROM runtime.record_attempt') == [1], "it is not settled yet"


@pytest.fixture
async def many(stand: Stand, owner: asyncpg.Connection) -> Kept:
    """A table of a service's own, of two partitions, with rows that fell due from day to day."""
    await owner.execute(
        """
        CREATE TABLE seen (account_id bigint, n bigint, at timestamptz, done boolean DEFAULT true, PRIMARY KEY (account_id, n))
            PARTITION BY HASH (account_id);
        CREATE TABLE seen_0 PARTITION OF seen FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE seen_1 PARTITION OF seen FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE INDEX seen_old ON seen (at) WHERE done;
        """
    )
    await owner.execute(
        "INSERT INTO seen SELECT n % 7, n, $1::timestamptz + n * interval '1 minute' FROM generate_series(1, 5000) AS n",
        NOW,
    )
    assert stand.clock.now() == NOW
    return Kept("seen", "at", 10, "t.done")


async def test_rows_leave_in_short_batches_and_others_are_not_waited_for(
    many: Kept, owner: asyncpg.Connection, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    await owner.execute("UPDATE seen SET done = false WHERE n = 5")
    other = await asyncpg.connect(stand.database.dsn)
    await other.execute("BEGIN; SELECT FROM seen WHERE n = 6 FOR UPDATE")
    at = NOW + timedelta(days=10, minutes=4001)
    with logging_as("ledger"):
        (*_, first) = await sweep(owner, Retention(60, 60, 400, [many]), at)
        await other.close()
        (*_, second) = await sweep(owner, Retention(60, 60, 400, [many]), at)
    assert [(one.rows, one.overdue) for one in (first, second)] == [(3998, None), (1, None)]
    assert await owner.fetchval("SELECT array_agg(n ORDER BY n) FROM seen WHERE n < 4003") == [5, 4001, 4002]
    dropped = told(lines_of(capsys), "dropped")
    assert [(line["table"], line["rows"], line["before"]) for line in dropped] == [
        ("seen", rows, (at - timedelta(days=10)).isoformat()) for rows in (3998, 1)
    ]


async def test_what_falls_behind_is_told_until_it_has_caught_up(
    many: Kept, owner: asyncpg.Connection, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchdog, kept, at = Watchdog(stand.runtime), Retention(60, 60, 400, [many]), NOW + timedelta(days=14)

    async def swept() -> tuple[float, dict[str, str]]:
        return await sweep_once(stand.database.dsn, watchdog, kept, at), dict(watchdog.told)

    assert await swept() == (SOON_SECONDS, {}), "another process has the relay"
    assert await owner.fetchval("SELECT count(*) FROM seen") == 5000
    await stand.runtime.relay.step()
    with monkeypatch.context() as patched:
        patched.setattr(retention, "TABLE_SECONDS", 0.0)
        assert await swept() == (SOON_SECONDS, {"retention": "seen has what should have left 3 days ago"})
    await owner.execute("ALTER TABLE seen RENAME TO hidden")
    assert await swept() == (SOON_SECONDS, {"retention": "old rows could not be deleted: UndefinedTableError"})
    await owner.execute("ALTER TABLE hidden RENAME TO seen")
    assert await swept() == (ROUND_SECONDS, {})
    assert await owner.fetchval("SELECT count(*) FROM seen") == 0


async def test_a_day_of_the_outbox_that_does_not_leave_is_told(stand: Stand) -> None:
    watchdog = Watchdog(stand.runtime)
    await stand.runtime.relay.step()
    first = datetime.now(UTC) - timedelta(days=1)  # partitions are made with the database's date
    for days, there in ((61, {}), (62, {"retention": "runtime.outbox has what should have left 2 days ago"})):
        await sweep_once(stand.database.dsn, watchdog, KEPT, first + timedelta(days=days))
        assert watchdog.told == there


# a database of before


async def test_a_database_of_before_is_brought_up_to_date_and_versions_before_work_on(
    databases: Databases, tmp_path: Path
) -> None:
    dsn = with_database(databases.server, "of_before")
    await create_database(dsn)
    db = await asyncpg.connect(dsn)
    await db.execute(migrations.CREATE_TABLE)
    for file in migrations.RUNTIME_SCHEMA[:3]:
        await migrations._apply(db, file, {})
    await db.execute(OF_BEFORE.format(n=0))
    assert await migrations.migrate(dsn, tmp_path, NOW) == [
        "schema_4_retention.sql",
        "schema_5_inbox.sql",
        "schema_6_parked_sealed.sql",
    ]
    await db.execute(f"SET ROLE {roles_of('of_before').work}")
    await db.execute(OF_BEFORE.format(n=1))
    await db.execute("RESET ROLE")
    for _ in range(2):
        await sweep(db, KEPT, datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=DAYS + 1))
    assert await db.fetchval(INBOX) == 0
    assert await db.fetchval("SELECT forgotten_through FROM runtime.consumer_offset") == 1
    await db.close()
    await databases.drop(dsn)
