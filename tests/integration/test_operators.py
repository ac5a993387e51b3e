"""`kaipiao parked` against a real service: an operator finds what was parked, sees why, mends it and runs it again."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.ledger.app import MIGRATIONS
from services.ledger.app import build as ledger
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.parking import Parking
from shared.runtime.service import Runtime
from shared.runtime.settings import LOCAL_PARKING_KEY, Settings
from shared.runtime.transport import Partition, Record
from tests.conftest import OpenDatabase
from tests.support.edge import OPERATOR, operations_of, serving
from tests.support.lines import lines_of, logging_as, told
from tests.support.terminal import typed

pytestmark = pytest.mark.database

SETTINGS = Settings(_env_file=None)
AT = "2026-03-10T10:00:00+08:00"
UNREADABLE = 430
HEADERS = (("content-type", b"application/cloudevents+json"),)


@pytest.fixture(autouse=True)
def _as_a_process() -> Iterator[None]:
    with logging_as("ledger"):
        yield


@pytest.fixture
async def database(
    open_database: OpenDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A ledger that answers; the other services do not run."""
    database = await open_database(MIGRATIONS)
    monkeypatch.setenv("KAIPIAO_VAR", str(tmp_path))
    async with serving(operations_of(ledger(SETTINGS), database)) as url:
        known = {
            "operations": {"ledger": url, "title": "http://127.0.0.1:9"},
            "settings": {"OPERATOR_TOKEN": OPERATOR["Authorization"].split()[1]},
        }
        (tmp_path / "endpoints.json").write_text(json.dumps(known))
        yield database


def an_order(
    event_id: str, account_id: int, number: str, product: str = "nosuch", kind: str = "OrderPaid"
) -> dict[str, Any]:
    lines = [{"product_code": product, "item_name": "x", "cash_fen": 100}]
    data = {"account_id": account_id, "number": number, "currency": "CNY", "occurred_at": AT, "lines": lines}
    return {"specversion": "1.0", "id": event_id, "source": "/acme", "type": kind, "time": AT, "data": data}


async def read(database: Database, *values: dict[str, Any] | bytes, first: int = 0) -> None:
    """As the ledger reads them."""
    runtime = Runtime(ledger(SETTINGS), database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")
    records = [
        Record(
            Partition("billing.events", 0),
            first + place,
            b"7",
            value if isinstance(value, bytes) else json.dumps(value).encode(),
            HEADERS,
        )
        for place, value in enumerate(values)
    ]
    await runtime.consumers["ledger.billing.events"].on_batch(records)


async def test_a_list_shows_account_number_type_and_time_and_says_what_to_do(database: Database) -> None:
    await read(database, an_order("e1", 7, "ORD-7"), an_order("e2", 8, "ORD-8"))
    listed = await typed("parked", "list", "--service", "ledger", "--account", "8")
    (line, count) = listed.stdout.splitlines()
    assert line.split()[:6] == ["ledger", "2", "8", "OrderPaid", "ORD-8", "2026-03-10"]
    assert "NO_CATALOGUE_ROW: the catalogue has no row for product nosuch" in line
    assert "add it to shared/domain/data/catalogue/products.json, restart the ledger" in line
    assert "kaipiao parked redrive --reason NO_CATALOGUE_ROW" in line
    assert count == "1 shown"


async def test_a_list_never_stops_without_a_word_and_goes_on_where_it_says(database: Database) -> None:
    await read(database, *[b"nothing"] * UNREADABLE)
    listed = await typed("parked", "list", "--service", "ledger", "--limit", "250")
    *shown, more, _ = listed.stdout.splitlines()
    assert (len(shown), more.split(": ")[1]) == (250, "there are more; go on with")
    rest = await typed(*more.rpartition("kaipiao ")[2].split())
    assert rest.stdout.splitlines()[-1] == f"{UNREADABLE - 250} shown"
    everything = await typed("parked", "list", "--service", "ledger", "--limit", "1000")
    assert everything.stdout.splitlines()[-1] == f"{UNREADABLE} shown"


async def test_filters_choose_by_reason_type_and_since(database: Database) -> None:
    await read(database, an_order("e1", 7, "O1"), b"nothing", an_order("e2", 7, "B1") | {"type": "BillSettled"})
    today = datetime.now(UTC).date().isoformat()
    for words, count in (
        (("--reason", "NO_CATALOGUE_ROW"), 1),
        (("--type", "BillSettled"), 1),
        (("--since", today), 3),
        (("--since", "2100-01-01"), 0),
        (("--account", "7"), 3),
    ):
        listed = await typed("parked", "list", "--service", "ledger", *words)
        assert listed.stdout.splitlines()[-1] == f"{count} shown", words


async def test_a_service_that_is_away_is_named_and_the_others_are_shown(database: Database) -> None:
    await read(database, b"nothing")
    listed = await typed("parked", "list")
    assert (listed.exit_code, listed.stdout.splitlines()[-1]) == (1, "1 shown")
    assert "title does not answer at http://127.0.0.1:9" in listed.stderr


async def test_many_are_redriven_by_filter_and_each_that_fails_says_why(database: Database) -> None:
    await read(database, an_order("e1", 7, "O1"), an_order("e2", 7, "O2"), b"nothing")
    async with database.transaction() as db:
        mended = json.dumps(an_order("e1", 7, "O1", product="ecs")).encode()
        sealed = Parking.from_setting(LOCAL_PARKING_KEY).seal(
            Record(Partition("billing.events", 0), 0, b"7", mended, HEADERS)
        )
        await db.execute("UPDATE runtime.parked SET sealed = $1 WHERE parked_id = 1", sealed)
    done = await typed("parked", "redrive", "--reason", "NO_CATALOGUE_ROW", "--by", "li")
    first, second = done.stdout.splitlines()
    assert first == "1: it took effect"
    assert second.startswith(
        "2: it still cannot take effect: NO_CATALOGUE_ROW: the catalogue has no row for product nosuch"
    )
    assert done.exit_code == 1
    named = await typed("parked", "redrive", "3", "77")
    assert "3: it still cannot take effect: NOT_JSON" in named.stdout
    assert "77: ledger: There is no open parked record 77" in named.stderr


async def test_a_bug_met_again_is_told_as_a_bug_and_not_as_a_record_that_is_not_there(
    database: Database,
) -> None:
    """A KeyError is a LookupError too, which once read as "no such record"."""
    await read(database, an_order("e1", 7, "O1"))
    async with database.transaction() as db:
        await db.execute("UPDATE runtime.parked SET consumer = 'ledger.gone'")
    done = await typed("parked", "redrive", "1")
    assert done.stdout.startswith("1: it still cannot take effect: FAILED_AGAIN: its handler failed with KeyError")


async def test_many_are_dismissed_by_filter_and_are_kept(database: Database) -> None:
    await read(database, *[b"nothing"] * 3)
    done = await typed("parked", "dismiss", "--reason", "NOT_JSON", "--comment", "a test of theirs", "--by", "li")
    assert done.stdout.splitlines() == [f"{number}: dismissed" for number in (1, 2, 3)]
    kept = await typed("parked", "list", "--service", "ledger", "--status", "dismissed")
    assert kept.stdout.splitlines()[-1] == "3 shown"


async def test_content_is_shown_only_to_who_asks_for_it_and_that_is_logged(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await read(database, "张三 13800001001".encode())
    closed = await typed("parked", "show", "1")
    assert "13800001001" not in closed.stdout
    assert told(lines_of(capsys), "parked_content_shown") == []
    opened = await typed("parked", "show", "1", "--content", "--by", "li")
    assert json.loads(opened.stdout)["value"] == "张三 13800001001"
    (line,) = told(lines_of(capsys), "parked_content_shown")
    assert (line["parked_id"], line["by"]) == (1, "li")
