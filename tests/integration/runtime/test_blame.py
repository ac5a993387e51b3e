"""Whose fault it is: transient errors never count, also across restarts; what is the system's fault parks nothing and is said aloud."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from asyncpg import Connection

from shared.runtime import handling, store
from shared.runtime.blame import is_the_systems, is_transient
from shared.runtime.handling import Consumer
from shared.runtime.transport import NotDone, Record
from tests.support.counting import COMMANDS, Counting, Killed, Stand

pytestmark = pytest.mark.database

LOCKED = asyncpg.LockNotAvailableError("canceling statement due to lock timeout")


async def tries(stand: Stand) -> object:
    return await stand.one("SELECT tries FROM runtime.record_attempt")


async def begun(stand: Stand, records: list[Record]) -> None:
    with pytest.raises((NotDone, Killed)):
        await stand.consumer.on_batch(records)


async def test_a_lock_that_is_held_across_many_restarts_parks_nobody(stand: Stand, counting: Counting) -> None:
    records = [stand.arrived(1)]
    for _ in range(10):
        counting.problems = [LOCKED, LOCKED, Killed()]
        await begun(stand, records)
        stand.started()
    counting.problems = []
    await stand.consumer.on_batch(records)
    assert (await stand.effects(), await stand.parked()) == ([1], [])


async def test_a_minute_of_transient_errors_leaves_no_count_in_the_database(stand: Stand, counting: Counting) -> None:
    records = [stand.arrived(1)]
    for _ in range(7):
        counting.problems = [LOCKED] * 1000
        await begun(stand, records)
        assert await tries(stand) == 0
        stand.started()
    counting.problems = []
    await stand.consumer.on_batch(records)
    assert await stand.effects() == [1]


async def test_errors_of_the_record_itself_still_count_with_transient_ones_between(
    stand: Stand, counting: Counting
) -> None:
    counting.problems = [ValueError("a bug"), *([ValueError("a bug"), LOCKED] * 5)]
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert await stand.parked() == [(0, "ATTEMPTS_EXHAUSTED")]
    assert "ValueError" in str(await stand.one("SELECT text FROM runtime.parked"))


async def test_a_value_that_cannot_be_sent_to_the_database_is_the_records_fault(
    stand: Stand, counting: Counting
) -> None:
    async with stand.database.read() as db:
        with pytest.raises(asyncpg.DataError) as unsendable:
            await db.fetchval("SELECT $1::text", "\ud800")
        with pytest.raises(asyncpg.DataError) as too_large:
            await db.fetchval("SELECT $1::int", 2**40)
    assert not is_transient(unsendable.value)
    assert not is_transient(too_large.value)
    counting.problems = [unsendable.value] * 6
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert (await stand.effects(), await stand.parked()) == ([2], [(0, "ATTEMPTS_EXHAUSTED")])


BREAKAGES = {
    "a column is gone": ("ALTER TABLE effect DROP COLUMN at", "ALTER TABLE effect ADD COLUMN at timestamptz"),
    "a table is gone": ("ALTER TABLE effect RENAME TO gone", "ALTER TABLE gone RENAME TO effect"),
    "a right is missing": ("REVOKE INSERT ON effect FROM PUBLIC, {work}", "GRANT INSERT ON effect TO {work}"),
    "the outbox has no partition": (
        "ALTER TABLE runtime.outbox RENAME TO old; "
        "CREATE TABLE runtime.outbox (LIKE runtime.old INCLUDING DEFAULTS) PARTITION BY RANGE (created_at); "
        "GRANT ALL ON runtime.outbox TO {work}",
        "DROP TABLE runtime.outbox; ALTER TABLE runtime.old RENAME TO outbox",
    ),
    "the inbox is broken": (
        "ALTER TABLE runtime.inbox ADD CONSTRAINT odd CHECK (event_id = '') NOT VALID",
        "ALTER TABLE runtime.inbox DROP CONSTRAINT odd",
    ),
    "attempts are gone": (
        "ALTER TABLE runtime.batch_attempt RENAME TO gone",
        "ALTER TABLE runtime.gone RENAME TO batch_attempt",
    ),
}


@pytest.mark.parametrize("kind", BREAKAGES)
@pytest.mark.parametrize("shape", ["single", "batch"])
async def test_what_is_the_systems_fault_is_handed_back_and_said(
    kind: str, shape: str, stand: Stand, batch_stand: Stand
) -> None:
    if shape == "batch":
        if kind in ("the outbox has no partition", "the inbox is broken"):
            return  # this list handler needs neither
        stand = batch_stand
    async with stand.database.read() as db:
        work = '"' + await db.fetchval("SELECT current_user") + '"'
    breaks, mends = (statement.format(work=work) for statement in BREAKAGES[kind])
    records = [stand.arrived(1), stand.arrived(2)]
    await stand.as_owner(breaks)
    for _ in range(8):
        await begun(stand, records)
        assert "hands its batches back" in (stand.consumer.unhealthy() or "")
    await stand.as_owner(mends)
    assert await stand.parked() == []
    await stand.consumer.on_batch(records)
    assert (await stand.effects(), stand.consumer.unhealthy()) == ([1, 2], None)
    assert await stand.one("SELECT count(*) FROM runtime.record_attempt") == 0


def test_only_errors_of_the_system_are_the_systems() -> None:
    assert not is_the_systems(asyncpg.UniqueViolationError("twice"))
    assert not is_the_systems(asyncpg.DeadlockDetectedError("circle"))
    assert not is_the_systems(asyncpg.NumericValueOutOfRangeError("large"))
    assert not is_the_systems(ValueError("a bug"))
    assert is_the_systems(asyncpg.UndefinedColumnError("gone"))
    assert is_the_systems(asyncpg.InsufficientPrivilegeError("no"))


async def test_many_parked_in_a_row_for_reasons_nobody_knows_stop_the_consumer(
    stand: Stand, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "PARKS_IN_A_ROW_MAX", 3)
    records = [stand.arrived(n) for n in range(1, 7)]
    counting.problems = [ValueError("a bug")] * 1000
    for _ in range(3):
        await begun(stand, records)
        assert "ValueError" in (stand.consumer.unhealthy() or "")
        stand.started()
        await stand.transport.start()
    assert [offset for offset, _ in await stand.parked()] == [0, 1, 2], "a new process does not park on"
    counting.problems = []
    await _on_assigned(stand.consumer)
    await stand.consumer.on_batch(records[3:])
    assert (await stand.effects(), stand.consumer.unhealthy()) == ([4, 5, 6], None)
    assert await stand.one("SELECT parks FROM runtime.breaker") == 0


async def _on_assigned(consumer: Consumer) -> None:
    await consumer.on_assigned([])


async def test_parked_records_with_good_ones_between_stop_nobody(
    stand: Stand, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "PARKS_IN_A_ROW_MAX", 2)
    for n in range(6):
        counting.problems = [ValueError("a bug")] * 6
        await stand.consumer.on_batch([stand.arrived(10 * n + 1)])
        counting.problems = []
        await stand.consumer.on_batch([stand.arrived(10 * n + 2)])
    assert len(await stand.parked()) == 6
    assert len(await stand.effects()) == 6


async def test_how_often_a_batch_came_again_is_known_by_partition(stand: Stand, counting: Counting) -> None:
    records = [stand.arrived(1)]
    for times in range(3):
        counting.problems = [LOCKED] * 1000
        await begun(stand, records)
        assert stand.consumer.repeats() == ({COMMANDS: times} if times else {})
    counting.problems = []
    await stand.consumer.on_batch(records)
    assert stand.consumer.repeats() == {}


FAILS_ONCE = """
    CREATE SEQUENCE commits;
    CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF nextval('commits') = 1 THEN
            RAISE EXCEPTION 'circle' USING ERRCODE = '40P01';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_once();
"""


async def test_a_park_of_an_attempt_that_did_not_commit_is_forgotten(batch_stand: Stand, counting: Counting) -> None:
    """The handler decides anew: between two attempts what was missing may have come."""
    counting.odd_times = 1
    await batch_stand.as_owner(FAILS_ONCE)
    await batch_stand.consumer.on_batch([batch_stand.arrived(7)])
    assert (await batch_stand.effects(), await batch_stand.parked()) == ([7], [])


async def test_a_count_whose_commit_was_not_answered_counts_once(
    stand: Stand, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five attempts are five, whatever becomes of the connection that counts them."""
    counts, transaction, begin_record = 0, stand.database.transaction, store.begin_record
    lost: list[Connection] = []

    @asynccontextmanager
    async def unanswered(*arguments: Any) -> AsyncIterator[Connection]:  # noqa: ANN401
        async with transaction(*arguments) as db:
            yield db
        if lost:
            lost.clear()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def begun(db: Connection, *arguments: Any, **named: Any) -> int:  # noqa: ANN401
        nonlocal counts
        counts += 1
        if counts % 2:
            lost.append(db)
        return await begin_record(db, *arguments, **named)

    monkeypatch.setattr(stand.database, "transaction", unanswered)
    monkeypatch.setattr(store, "begin_record", begun)
    counting.problems = [ValueError("a bug")] * 10
    await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.parked() == [(0, "ATTEMPTS_EXHAUSTED")]
    assert 10 - len(counting.problems) == 1 + handling.ATTEMPTS_MAX, "with its batch, and five times alone"
