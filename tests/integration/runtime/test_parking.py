"""What a parked record holds is sealed at rest: whatever it is, with the first of several keys, and rows of before are sealed later."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import parked
from shared.runtime.database import Database
from shared.runtime.parking import Parking, seal_the_rest
from shared.runtime.sealing import Keyring, Unsealable
from shared.runtime.transport import Partition, Record
from tests.conftest import OpenDatabase
from tests.support.dumped import dumped

pytestmark = pytest.mark.database

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = Partition("billing.events", 0)
NOW = datetime(2026, 3, 10, tzinfo=UTC)
IN_CLEAR = """
    INSERT INTO runtime.parked (consumer, topic, "partition", "offset", key, value, header_names, header_values, reason, text, received_at,
        parked_at)
    SELECT 'ledger.billing.events', 'billing.events', 0, n, '7', $2::bytea, '{ce_id}', ARRAY[$2::bytea], 'X', 'y', now(), now()
    FROM generate_series(1, $1) n
"""
VALUE = "卡纳莉".encode()


def row_of(parking: Parking, record: Record, offset: int | None = None) -> dict[str, object]:
    place = {"topic": PLACE.topic, "partition": PLACE.number}
    return place | {"offset": record.offset if offset is None else offset, "sealed": parking.seal(record)}


@given(
    st.none() | st.binary(max_size=100),
    st.none() | st.binary(max_size=1000),
    st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=5),
)
def test_every_record_comes_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    parking = Parking(Keyring([NEW]))
    record = Record(PLACE, 5, key, value, tuple(headers))
    assert parking.open(row_of(parking, record)) == record  # type: ignore[arg-type]


def test_a_record_opens_at_its_own_place_only_and_with_a_key_that_is_still_named() -> None:
    parking = Parking(Keyring([OLD]))
    record = Record(PLACE, 5, b"7", VALUE, ())
    assert Parking(Keyring([NEW, OLD])).open(row_of(parking, record)) == record  # type: ignore[arg-type]
    with pytest.raises(Unsealable):
        parking.open(row_of(parking, record, offset=6))  # type: ignore[arg-type]
    with pytest.raises(Unsealable):
        Parking(Keyring([NEW])).open(row_of(parking, record))  # type: ignore[arg-type]


@pytest.fixture
async def database(open_database: OpenDatabase, tmp_path: Path) -> Database:
    return await open_database(tmp_path)


async def sealed_ids(database: Database) -> set[bytes]:
    async with database.read() as db:
        return {row[0] for row in await db.fetch("SELECT substr(sealed, 1, 4) FROM runtime.parked")}


async def test_rows_in_clear_are_sealed_and_those_of_an_old_key_anew(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute(IN_CLEAR, 120, VALUE)
    assert "卡纳莉" in await dumped(database)
    old, both = Parking(Keyring([OLD])), Parking(Keyring([NEW, OLD]))
    assert [await seal_the_rest(database, old), await seal_the_rest(database, old)] == [120, 0]
    assert "卡纳莉" not in await dumped(database)
    assert await sealed_ids(database) == {old.current_id}
    assert await seal_the_rest(database, both) == 120
    assert await sealed_ids(database) == {both.current_id}
    async with database.read() as db:
        record, _ = await parked._record(db, 77, Parking(Keyring([NEW])))
    assert record == Record(PLACE, 77, b"7", VALUE, (("ce_id", VALUE),))


async def test_a_row_that_no_key_opens_any_more_does_not_hold_up_the_others(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute(IN_CLEAR, 1, VALUE)
    await seal_the_rest(database, Parking(Keyring([b"x" * 32])))
    async with database.transaction() as db:
        await db.execute(IN_CLEAR.replace("generate_series(1, $1)", "generate_series(2, 1 + $1)"), 60, VALUE)
    assert await seal_the_rest(database, Parking(Keyring([NEW]))) == 60
