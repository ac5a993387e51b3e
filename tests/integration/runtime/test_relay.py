"""The relay: its lease by the database's clock, rounds that are bounded, what was confirmed is marked, and a standstill is told."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.demo.client import eventually
from shared.contracts.ledger import ReservationReleased
from shared.contracts.message import Message
from shared.runtime import outbox
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.outbox import HUNG_SECONDS, Outbox, Relay
from shared.runtime.progress import STANDSTILL_SECONDS
from shared.runtime.transport import Outgoing, SendFailed
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database


class Skewed(Clock):
    """A wall clock that is wrong, and a monotonic one that a test may move."""

    def __init__(self, wrong: timedelta = timedelta()) -> None:
        super().__init__()
        self.wrong = wrong
        self.later = 0.0

    def real(self) -> datetime:
        return super().real() + self.wrong

    def monotonic(self) -> float:
        return super().monotonic() + self.later


class Slow(MemoryTransport):
    """Confirms so many messages, and then fails."""

    def __init__(self, confirms: int) -> None:
        super().__init__(MemoryLog())
        self.confirms = confirms
        self.rounds: list[int] = []

    async def send(self, records: Sequence[Outgoing]) -> None:
        self.rounds.append(len(records))
        await super().send(records[: self.confirms])
        if len(records) > self.confirms:
            failed = SendFailed("TimeoutError")
            failed.confirmed = self.confirms
            raise failed


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> Database:
    return await open_database(tmp_path)


def released(number: int) -> Message:
    return ReservationReleased(account_id=7, request_id=number, reservation_id=1, released_fen=1)


async def write(database: Database, *rows: int) -> None:
    """A row for each number: of so many messages."""
    number = 0
    for count in rows:
        async with database.transaction() as db:
            messages = [released(number := number + 1) for _ in range(count)]
            await Outbox("ledger", Clock(), uuid7).write(db, messages, None)


async def unsent(database: Database) -> int:
    async with database.read() as db:
        return int(await db.fetchval("SELECT count(*) FROM runtime.outbox WHERE sent_at IS NULL"))


def sent(transport: MemoryTransport) -> list[int]:
    return [
        ReservationReleased.model_validate_json(record.value or b"").request_id
        for records in transport.log.records.values()
        for record in records
    ]


async def test_a_relay_whose_wall_clock_is_ahead_and_that_dies_is_followed_as_soon_as_any_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LEASE_SECONDS", 1.0)
    ahead = Relay(database, MemoryTransport(MemoryLog()), Skewed(timedelta(hours=1)), "ahead")
    behind = Relay(database, MemoryTransport(MemoryLog()), Skewed(timedelta(hours=-1)), "behind")
    assert await ahead._hold_lease()
    assert not await behind._hold_lease()
    await eventually("lease of the other", behind._hold_lease, 10)
    assert not await ahead._hold_lease(), "and a clock that is ahead takes nothing away before its time"


async def test_a_relay_that_was_overtaken_marks_nothing(database: Database) -> None:
    """The new one sends it again: twice and never not at all."""
    await write(database, 1, 1)
    clock, transport = Skewed(), Slow(confirms=10)
    relay, other = Relay(database, transport, clock, "first"), Relay(database, Slow(confirms=10), Clock(), "other")
    real = transport.send

    async def overtaken(records: Sequence[Outgoing]) -> None:
        await real(records)
        owner = await asyncpg.connect(database.dsn)
        await owner.execute("UPDATE runtime.relay SET expires_at = 'epoch'")
        await owner.close()
        assert await other._hold_lease()

    transport.send = overtaken  # type: ignore[method-assign]
    await relay.step()
    assert (await unsent(database), relay.is_active()) == (2, False)
    assert await other.step() is False
    assert await unsent(database) == 0


async def test_what_a_slow_broker_confirmed_is_marked_and_the_rest_goes_again(database: Database) -> None:
    await write(database, 2, 2, 2)
    transport = Slow(confirms=3)
    relay = Relay(database, transport, Clock(), "relay")
    for left in (2, 1):
        with pytest.raises(SendFailed):
            await relay.step()
        assert await unsent(database) == left
        transport.confirms = 2
    await relay.step()
    assert await unsent(database) == 0
    assert sorted(sent(transport)) == [1, 2, 3, 4, 5, 6], "not even the confirmed part of a row goes twice"


async def test_a_row_that_is_longer_than_any_round_leaves_in_several(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROUND_MESSAGES_MAX", 4)
    await write(database, 10, 1)
    transport = Slow(confirms=100)
    relay = Relay(database, transport, Clock(), "relay")
    rounds = [await relay.step() for _ in range(4)]
    assert (rounds, transport.rounds) == ([True, True, False, False], [4, 4, 3])
    assert sorted(sent(transport)) == list(range(1, 12))
    assert await unsent(database) == 0


async def test_a_round_reads_and_sends_no_more_bytes_than_it_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROUND_BYTES_MAX", 700)
    await write(database, *[1] * 9)
    transport = Slow(confirms=100)
    relay = Relay(database, transport, Clock(), "relay")
    while await relay.step():
        pass
    assert max(transport.rounds) < 9
    assert sum(transport.rounds) == 9
    assert await unsent(database) == 0


async def test_a_lease_is_kept_while_a_broker_takes_its_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LEASE_SECONDS", 0.3)
    await write(database, 1)
    transport = Slow(confirms=1)
    real = transport.send

    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(records: Sequence[Outgoing]) -> None:
        begun.set()
        await goes_on.wait()
        await real(records)

    transport.send = slowly  # type: ignore[method-assign]
    relay, other = Relay(database, transport, Clock(), "relay"), Relay(database, transport, Clock(), "other")
    sending = asyncio.create_task(relay.step())
    await begun.wait()
    async with database.read() as db:
        first_end = await db.fetchval("SELECT expires_at FROM runtime.relay")

    async def has_run_out() -> bool:
        async with database.read() as db:
            return bool(await db.fetchval("SELECT clock_timestamp() > $1", first_end))

    await eventually("end of the first lease", has_run_out)
    taken_over = await other.step()
    goes_on.set()
    await sending
    assert taken_over is False
    assert (await unsent(database), transport.rounds) == (0, [1])


async def test_rows_may_be_as_old_as_they_like_while_some_are_settled(database: Database) -> None:
    await write(database, *[1] * 3)
    async with database.transaction() as db:
        await db.execute("UPDATE runtime.outbox SET created_at = date_trunc('day', now())")
    clock = Skewed()
    relay = Relay(database, Slow(confirms=1), clock, "relay")
    for _ in range(3):
        clock.later += STANDSTILL_SECONDS - 5
        assert relay.unhealthy() is None
        try:
            await relay.step()
        except SendFailed as error:
            relay.progress.failed(error)
    assert await unsent(database) == 0


async def test_a_relay_that_settles_nothing_says_why_and_a_round_that_hangs_is_ended(database: Database) -> None:
    await write(database, 1)
    clock = Skewed()
    relay = Relay(database, Slow(confirms=0), clock, "relay")
    running = asyncio.create_task(relay.run(asyncio.Event()))
    await eventually("failed round", lambda: asyncio.sleep(0, relay.progress.trouble))
    clock.later += STANDSTILL_SECONDS + 1
    assert str(relay.unhealthy()).endswith(": SendFailed")
    assert relay.unhealthy(possible_since=clock.monotonic()) is None, "the broker was away all the time"
    clock.later += HUNG_SECONDS
    assert relay.broken() is None, "a new process would not get it sent either"
    running.cancel()
    await asyncio.wait([running])
    relay.progress.settled()
    clock.later += HUNG_SECONDS + 1
    assert relay.broken() == relay.unhealthy()
    assert str(relay.broken()).endswith(": a round does not end")
