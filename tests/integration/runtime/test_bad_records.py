"""Records that cannot take effect: parked at once with every byte, told of once, mended from what is on the screen."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.message import Unacceptable
from shared.contracts.parking import RecordParked
from shared.runtime import parked
from shared.runtime.envelope import Envelope
from shared.runtime.outbox import outgoing_of
from shared.runtime.transport import Record, name_bytes, name_text
from tests.support.counting import NOW, Counting, Stand, headers_of

pytestmark = pytest.mark.database

AT = "2026-03-10T10:00:00+08:00"
ORDER: dict[str, Any] = {
    "account_id": 7002,
    "number": "N1",
    "occurred_at": AT,
    "lines": [{"product_code": "ecs", "item_name": "云服务器", "cash_fen": 10600}],
}
TOP_UP = {"account_id": 7002, "number": "T1", "occurred_at": AT, "cash_fen": 5}


def structured(data: object, event_id: str = "e1", kind: str = "OrderPaid", source: str = "/acme") -> bytes:
    event = {"specversion": "1.0", "id": event_id, "source": source, "type": kind, "time": AT, "data": data}
    return json.dumps(event).encode()


async def good_one(stand: Stand, number: str = "GOOD") -> None:
    await stand.take("billing.events", structured(ORDER | {"number": number}, number))
    assert number in await stand.facts()


async def redrive(stand: Stand, parked_id: int = 1) -> dict[str, str]:
    return await stand.redriven(parked_id)


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize(
    ("escaped", "place"), [(r"\ud83d", "lines.0.item_name"), (r"a\u0000b", "lines.0.item_name"), (r"\ud83d", "note")]
)
async def test_text_that_nothing_can_hold_is_parked_at_once_and_named(
    upstream_stand: Stand, mode: str, escaped: str, place: str
) -> None:
    line = ORDER["lines"][0] | ({"item_name": "MARK"} if place != "note" else {})
    data = ORDER | {"lines": [line]} | ({"note": "MARK"} if place == "note" else {})
    value = (structured(data) if mode == "structured" else json.dumps(data).encode()).replace(b"MARK", escaped.encode())
    record = await upstream_stand.take("billing.events", value, *(headers_of("OrderPaid") if mode == "binary" else ()))
    (row,) = await upstream_stand.rows()
    assert row.reason == "BREAKS_CONTRACT"
    assert row.text.startswith(f"{place}: ")
    assert (row.account_id, row.number, row.event_id, row.event_type) == (7002, "N1", "e1", "OrderPaid")
    kept, _ = await _kept(upstream_stand)
    assert kept.value == record.value
    assert await upstream_stand.one("SELECT count(*) FROM runtime.record_attempt") == 0
    await good_one(upstream_stand)


@pytest.mark.parametrize("topic", ["billing.events", "account.events"])
async def test_names_and_values_of_headers_are_kept_whatever_they_are(upstream_stand: Stand, topic: str) -> None:
    headers = (
        *(("nul\0name", b"\0"), (name_text(b"\xff\xfe"), b"\xff"), ("\ud83d", None), ("twice", b"1"), ("twice", b"2")),
        *(("ce_id", b"\xff"), ("x" * 5000, b"y" * 5000), ("名", "值".encode()), ("", b"")),
    )
    record = await upstream_stand.take(topic, b"{", *headers, key=b"\xff\0")
    kept, _ = await _kept(upstream_stand)
    assert [(name_bytes(name), value) for name, value in kept.headers] == [
        (name_bytes(n), v) for n, v in record.headers
    ]
    assert (kept.key, kept.value) == (record.key, record.value)
    assert (await redrive(upstream_stand))["status"] == "open"


async def _kept(stand: Stand) -> tuple[Record, object]:
    async with stand.database.read() as db:
        return await parked._record(db, 1, stand.runtime.parking)


async def test_a_record_that_a_version_before_parked_is_shown_and_redriven(upstream_stand: Stand) -> None:
    await upstream_stand.as_owner(
        f"""
        INSERT INTO runtime.parked (consumer, topic, partition, "offset", value, header_names, header_values, reason, text,
            received_at, parked_at)
        VALUES ('ledger.billing.events', 'billing.events', 0, 5, '{structured(ORDER).decode()}'::text::bytea, '{{a}}', '{{b}}', 'X', 'y',
            '{NOW}', '{NOW}')
        """.replace("\\", "\\\\")
    )
    async with upstream_stand.database.read() as db:
        shown = await parked.parked_record(db, 1, upstream_stand.runtime.parking)
    assert shown is not None
    assert (shown.event_id, shown.type, shown.account_id, shown.number) == ("e1", "OrderPaid", 7002, "N1")
    assert await redrive(upstream_stand) == {"status": "redriven"}
    assert await upstream_stand.facts() == ["N1"]


@pytest.mark.parametrize("kind", ["OrderPaidV2", "orderpaid", "com.example.billing.OrderPaid"])
async def test_a_type_that_nobody_knows_is_parked_where_upstream_writes(upstream_stand: Stand, kind: str) -> None:
    await upstream_stand.take("billing.events", structured(ORDER, kind=kind))
    (row,) = await upstream_stand.rows()
    assert (row.reason, row.event_type) == ("UNKNOWN_TYPE", kind)
    assert "OrderPaid, BillSettled" in row.text
    upstream_stand.started(kind)
    await upstream_stand.take("billing.events", structured(ORDER, "e2", kind))
    assert len(await upstream_stand.rows()) == 1
    assert await upstream_stand.one("SELECT skipped FROM runtime.consumer_offset") == 1


async def test_a_known_type_that_another_service_reads_is_skipped(upstream_stand: Stand) -> None:
    closed = structured({"account_id": 1, "occurred_at": AT}, kind="AccountClosed")
    await upstream_stand.take("account.events", closed)
    assert await upstream_stand.rows() == []


@pytest.mark.parametrize(
    ("topic", "kind", "data"), [("billing.events", "OrderPaid", ORDER), ("account.events", "CashToppedUp", TOP_UP)]
)
@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=365 * 70)])
async def test_a_fact_from_the_future_waits_for_its_time(
    upstream_stand: Stand, topic: str, kind: str, data: dict[str, Any], ahead: timedelta
) -> None:
    await upstream_stand.take(topic, structured(data | {"occurred_at": (NOW + ahead).isoformat()}, kind=kind))
    (row,) = await upstream_stand.rows()
    assert (row.reason, row.redrive_from) == ("FROM_THE_FUTURE", NOW + ahead - timedelta(minutes=5))
    answer = await redrive(upstream_stand)
    assert (answer["status"], answer["reason"]) == ("open", "FROM_THE_FUTURE")
    upstream_stand.clock.advance((ahead - timedelta(minutes=5)).total_seconds())
    assert await redrive(upstream_stand) == {"status": "redriven"}
    assert await upstream_stand.facts() == [data["number"]]
    assert await upstream_stand.one("SELECT at FROM fact") == NOW, "it arrived when it first came"


async def test_hosts_whose_clocks_differ_a_little_are_believed(upstream_stand: Stand) -> None:
    at = (NOW + timedelta(minutes=4)).isoformat()
    await upstream_stand.take("billing.events", structured(ORDER | {"occurred_at": at}))
    assert await upstream_stand.facts() == ["N1"]


async def test_an_event_that_comes_again_in_another_notation_is_the_same(upstream_stand: Stand) -> None:
    await upstream_stand.take("account.events", structured(TOP_UP, kind="CashToppedUp"))
    again = dict(reversed(TOP_UP.items())) | {"occurred_at": "2026-03-10T02:00:00.000Z", "unknown": 1, "cash_fen": 5.0}
    await upstream_stand.take("account.events", json.dumps(again, indent=1).encode(), *headers_of("CashToppedUp"))
    assert await upstream_stand.rows() == []
    await upstream_stand.take("account.events", structured(TOP_UP | {"cash_fen": 6}, kind="CashToppedUp"))
    assert [row.reason for row in await upstream_stand.rows()] == ["CONTENT_CONFLICT"]


async def test_an_event_that_a_version_before_took_in_is_known_by_its_bytes(upstream_stand: Stand) -> None:
    await upstream_stand.take("account.events", structured(TOP_UP, kind="CashToppedUp"))
    body = json.dumps(TOP_UP, separators=(",", ":"))
    await upstream_stand.as_owner(f"UPDATE runtime.inbox SET digest = '\\x{_digest_of_bytes(body)}'")
    await upstream_stand.take("account.events", structured(TOP_UP, kind="CashToppedUp"))
    assert await upstream_stand.rows() == []


def _digest_of_bytes(body: str) -> str:
    return Envelope("e1", "/acme", "CashToppedUp", None, body.encode()).digest.hex()


@pytest.mark.parametrize("length", [65, 1024])
async def test_long_ids_and_sources_take_effect_once(upstream_stand: Stand, length: int) -> None:
    names = {"event_id": "数" * length, "source": "源" * length}
    for _ in range(2):
        await upstream_stand.take("account.events", structured(TOP_UP, kind="CashToppedUp", **names))
    other = structured(TOP_UP | {"number": "T2"}, names["event_id"][:-1] + "x", "CashToppedUp", names["source"])
    await upstream_stand.take("account.events", other)
    assert await upstream_stand.rows() == []
    assert await upstream_stand.facts() == ["T1", "T2"]


@pytest.mark.parametrize(
    ("topic", "kind", "data"), [("billing.events", "OrderPaid", ORDER), ("account.events", "CashToppedUp", TOP_UP)]
)
async def test_a_bad_event_that_comes_again_counts_on_its_first_row(
    upstream_stand: Stand, topic: str, kind: str, data: dict[str, Any]
) -> None:
    bad = structured(data | {"account_id": 0}, kind=kind)
    for _ in range(3):
        upstream_stand.clock.advance(60)
        await upstream_stand.take(topic, bad)
    await upstream_stand.take(topic, structured(data | {"account_id": -1}, kind=kind))
    first, other = await upstream_stand.rows()
    assert (first.times, first.last_at) == (3, NOW + timedelta(minutes=3))
    assert (first.received_at, other.times) == (NOW + timedelta(minutes=1), 1), "other content is a row of its own"
    assert await upstream_stand.one("SELECT parked FROM runtime.consumer_offset") == 4


async def test_upstream_is_told_of_each_parked_record_once(upstream_stand: Stand) -> None:
    for value in (structured(ORDER | {"account_id": 0}), structured(ORDER | {"account_id": 0}), b"\0", None):
        await upstream_stand.take("billing.events", value, key=b"no account")
    async with upstream_stand.database.read() as db:
        rows = await db.fetch("SELECT records FROM runtime.outbox ORDER BY outbox_id")
    sent = [one for row in rows for one in outgoing_of(row["records"])]
    told = [RecordParked.model_validate_json(one.value) for one in sent]
    assert [(one.topic, one.key) for one in sent] == [("parking.events", b"0")] * 3
    assert [(one.reason, one.record_offset, one.event_id) for one in told] == [
        *(("BREAKS_CONTRACT", 0, "e1"), ("NOT_JSON", 2, None), ("NO_VALUE", 3, None))
    ]


async def test_a_redrive_says_why_it_failed(upstream_stand: Stand, counting: Counting) -> None:
    counting.problems = [Unacceptable("NO_ROW", "mend the catalogue")] * 2
    await upstream_stand.take("account.events", structured(TOP_UP, kind="CashToppedUp"))
    counting.problems = [Unacceptable("NO_OTHER", "mend that too")]
    assert await redrive(upstream_stand) == {"status": "open", "reason": "NO_OTHER", "text": "mend that too"}
    counting.problems = [Unacceptable("NO_OTHER", "no row for a\0b")]
    assert (await redrive(upstream_stand))["text"] == "no row for a\ufffdb", "no database takes a NUL in a text"
    counting.problems = [ZeroDivisionError("a bug")]
    assert "ZeroDivisionError" in (await redrive(upstream_stand))["text"]
    assert await redrive(upstream_stand) == {"status": "redriven"}
    assert await upstream_stand.facts() == ["T1"]


async def test_parked_records_are_found_by_what_they_say(upstream_stand: Stand) -> None:
    await upstream_stand.take("billing.events", structured(ORDER, kind="Odd"))
    await upstream_stand.take("billing.events", structured(ORDER | {"account_id": 0}, "e2"), key=b"8")
    async with upstream_stand.database.read() as db:
        for about in ({"account_id": 7002}, {"reason": "UNKNOWN_TYPE"}, {"event_type": "Odd"}):
            assert [one.parked_id for one in await parked.parked_records(db, "open", **about)] == [1]
        assert len(await parked.parked_records(db, "open", since=NOW)) == 2
        assert await parked.parked_records(db, "open", since=NOW + timedelta(days=1)) == []
