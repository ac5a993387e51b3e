"""The faults themselves: each does what its name says, and counts when it happens, not when it is set."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import asyncpg
import pytest

from shared.contracts.ledger import ReleaseReservation
from shared.contracts.message import Unacceptable
from shared.runtime import handling
from shared.runtime.memory import MemoryLog
from shared.runtime.service import Service
from shared.runtime.transport import NotDone, Outgoing, SendFailed
from tests.simulation.faults import AFTER, ALL, FAULTS, Crash, FaultyDatabase, Plan
from tests.simulation.wire import SEND_FAULTS, FaultyWire
from tests.support.counting import TABLES, Counting, Stand
from tests.support.databases import Databases

RECORDS = [Outgoing("ledger.events", str(number).encode(), str(number).encode(), ()) for number in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "001.sql").write_text("CREATE TABLE effect (number int)", encoding="utf-8")
    return tmp_path


@pytest.mark.database
async def test_a_fault_counts_when_its_transaction_comes(databases: Databases, folder: Path) -> None:
    database = await databases.open(folder, kind=FaultyDatabase)
    assert isinstance(database, FaultyDatabase)
    happened: list[str] = []
    database.happened = happened.append
    there = 0
    for fault in FAULTS:
        error = ALL[fault][0]
        database.arm(Plan(fault, 1, error))
        async with database.transaction() as db:
            await db.execute("DELETE FROM effect")
        assert (happened, database.hurt) == ([], False), "its transaction has not come"
        with pytest.raises(error):
            async with database.transaction() as db:
                await db.execute("INSERT INTO effect VALUES (1)")
        assert (happened, database.hurt, database.disarm()) == ([fault], True, 2)
        async with database.read() as db:
            there = await db.fetchval("SELECT count(*) FROM effect")
        assert there == (fault in AFTER)
        happened.clear()
    database.arm(Plan("transient error", 0, asyncpg.DeadlockDetectedError))
    with pytest.raises(asyncpg.DeadlockDetectedError):
        async with database.read():
            pass
    await database.close()
    await databases.drop(database.dsn)


@pytest.mark.parametrize("fault", ["", *SEND_FAULTS])
async def test_of_a_send_arrives_what_its_fault_lets_arrive_in_order(fault: str) -> None:
    """Whatever is confirmed has arrived, and nobody knows of the rest."""
    for seed in range(20):
        log, happened = MemoryLog(3), Counter[str]()
        wire = FaultyWire(log, Random(seed), lambda: fault, lambda what, happened=happened: happened.update([what]))  # type: ignore[misc]
        confirmed = len(RECORDS)
        try:
            await wire.send(RECORDS)
        except SendFailed as error:
            confirmed = error.confirmed
        except Crash:
            confirmed = 0
        assert happened == ({fault: 1} if fault else {})
        arrived = {part: [record.value for record in records] for part, records in log.records.items()}
        for part, values in arrived.items():
            sent = [one.value for one in RECORDS if log.partition_of(one) == part]
            assert values == sent[: len(values)]
        assert {one.value for one in RECORDS[:confirmed]} <= {value for values in arrived.values() for value in values}


@pytest.fixture
async def stand(databases: Databases, tmp_path: Path) -> AsyncIterator[Stand]:
    (tmp_path / "001.sql").write_text(TABLES, encoding="utf-8")
    database = await databases.open(tmp_path, kind=FaultyDatabase)
    assert isinstance(database, FaultyDatabase)
    database.happened = lambda fault: None  # noqa: ARG005
    counting = Counting()
    counting.problems = [Unacceptable("ODD", "nobody takes it") for _ in range(3)]
    yield Stand(database, Service("ledger", tmp_path, handlers={ReleaseReservation: counting.release}))
    await database.close()
    await databases.drop(database.dsn)


@pytest.mark.database
async def test_a_record_that_cannot_even_be_parked_comes_again(stand: Stand) -> None:
    """Begun, tried, counted, tried; and then the database is away for as long as anybody waits."""
    assert isinstance(stand.database, FaultyDatabase)
    stand.database.arm(Plan("transient error", 4, asyncpg.DeadlockDetectedError, 1000))
    with pytest.raises(NotDone):
        await stand.consumer.on_batch([stand.arrived(1)])
    assert stand.database.disarm() > 5
    assert (await stand.parked(), await stand.effects()) == ([], [])


@pytest.mark.database
async def test_a_batch_that_takes_too_long_one_by_one_comes_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came before, so it goes one by one; the first record takes all the time there is."""
    monkeypatch.setattr(handling, "CAREFUL_SECONDS", 1.0)
    assert isinstance(stand.database, FaultyDatabase)
    records = [stand.arrived(number) for number in (1, 2)]
    for _ in range(2):
        stand.database.arm(Plan("transient error", 2, asyncpg.DeadlockDetectedError, 10))
        with pytest.raises(NotDone):
            await stand.consumer._one_by_one((await stand.consumer._begin(records))[0])
    assert [offset for offset, _ in await stand.parked()] == [0]
