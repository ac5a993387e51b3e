"""Anything may come over a wire: each record is applied, parked, skipped or a duplicate, every byte is kept, and the next good one counts.

On real PostgreSQL, in both modes of CloudEvents, for a list handler and for a single one; so is what a person does with it afterwards.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.runtime import parked
from shared.runtime.transport import Headers, Outgoing, Record, name_bytes, name_text
from tests.support.counting import Stand, headers_of

pytestmark = pytest.mark.database

AT = "2026-03-10T10:00:00+08:00"
BODIES: dict[str, dict[str, Any]] = {
    "OrderPaid": {"account_id": 1, "number": "N", "occurred_at": AT, "lines": [{"product_code": "ecs", "cash_fen": 5}]},
    "CashToppedUp": {"account_id": 1, "number": "T", "occurred_at": AT, "cash_fen": 5},
}
TOPIC_OF = {"OrderPaid": "billing.events", "CashToppedUp": "account.events"}
SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=120,
    phases=[Phase.explicit, Phase.generate],  # shrinking over a database takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

odd_text = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\0", "\ud83d", "\udc00\ud83d", "x" * 2000, "\x85", "\ufeff", "'; --"]
)
scalars = st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats() | odd_text
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3), max_leaves=8
)
names = (
    st.sampled_from(
        [
            "ce_id",
            "ce_type",
            "ce_source",
            "ce_time",
            "ce_specversion",
            "content-type",
            "traceparent",
            "CE_ID",
            "\0",
            "\ud83d",
        ]
    )
    | st.binary(max_size=12).map(name_text)
    | odd_text
)
values = (
    st.none()
    | st.binary(max_size=30)
    | st.sampled_from(
        [b"1.0", b"OrderPaid", AT.encode(), b"application/json", b"application/cloudevents+json", b"\xff", b"0" * 3000]
    )
)
headers = st.lists(st.tuples(names, values), max_size=6).map(tuple)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "latin-1"])


def nested(depth: int, mark: str) -> bytes:
    opening, closing = {"[": ("[", "]"), "{": ('{"a":', "}")}[mark]
    event = {"specversion": "1.0", "id": "d", "source": "/s", "type": "OrderPaid", "time": AT, "data": "DEEP"}
    return json.dumps(event).replace('"DEEP"', f'{{"a":{opening * depth}1{closing * depth}}}').encode()


@st.composite
def bodies(draw: st.DrawFn, kind: str) -> object:
    """The good one with something of it changed, or anything."""
    if draw(st.booleans()):
        return draw(json_values)
    body = dict(BODIES[kind])
    for name in draw(st.lists(st.sampled_from([*body, "extra", "\ud83d"]), max_size=3)):
        body[name] = draw(json_values)
    return body


@st.composite
def records(draw: st.DrawFn) -> tuple[str, bytes | None, Headers, bytes | None]:
    kind = draw(st.sampled_from(sorted(TOPIC_OF)))
    mode = draw(st.sampled_from(["structured", "binary", "bytes", "nested"]))
    extra: Headers = draw(headers)
    encode = json.JSONEncoder(ensure_ascii=draw(st.booleans())).encode
    if mode == "structured":
        event: dict[str, object] = {
            "specversion": "1.0",
            "id": "s",
            "source": "/s",
            "type": kind,
            "time": AT,
            "data": draw(bodies(kind)),
        }
        for name in draw(st.lists(st.sampled_from([*event, "datacontenttype", "traceparent"]), max_size=2)):
            event[name] = draw(json_values)
        value: bytes | None = encode(event).encode(
            draw(encodings), errors=draw(st.sampled_from(["backslashreplace", "replace"]))
        )
    elif mode == "binary":
        value, extra = encode(draw(bodies(kind))).encode(errors="surrogatepass"), (*headers_of(kind, "b"), *extra)
    elif mode == "bytes":
        value = draw(st.none() | st.binary(max_size=100))
    else:
        value = nested(draw(st.sampled_from([1, 150, 250, 900, 50_000])), draw(st.sampled_from("[{")))
    return TOPIC_OF[kind], value, extra, draw(st.none() | st.binary(max_size=20))


async def tallied(stand: Stand) -> dict[str, int]:
    async with stand.database.read() as db:
        row = await db.fetchrow(
            """
            SELECT coalesce(sum(applied), 0)::int AS applied, coalesce(sum(duplicate), 0)::int AS duplicate,
                coalesce(sum(parked), 0)::int AS parked, coalesce(sum(skipped), 0)::int AS skipped FROM runtime.consumer_offset
            """
        )
    assert row is not None
    return dict(row)


def appended(stand: Stand, topic: str, value: bytes | None, extra: Headers, key: bytes | None) -> Record:
    """Its key may be missing, which no key of ours is."""
    record = stand.log.append(Outgoing(topic, b"", value or b"", extra))
    kept = Record(record.partition, record.offset, key, value, extra)
    stand.log.records[record.partition][-1] = kept
    return kept


@SETTINGS
@given(st.lists(records(), min_size=1, max_size=4), st.integers(0, 10**9))
async def test_whatever_comes_is_settled_and_the_next_good_record_counts(
    upstream_stand: Stand, given_records: list[tuple[str, bytes | None, Headers, bytes | None]], salt: int
) -> None:
    stand, before = upstream_stand, await tallied(upstream_stand)
    taken = {topic: [] for topic in TOPIC_OF.values()}  # type: dict[str, list[Record]]
    for topic, value, extra, key in given_records:
        taken[topic].append(appended(stand, topic, value, extra, key))
    for kind, topic in TOPIC_OF.items():
        good = json.dumps(BODIES[kind] | {"number": f"{kind}-{salt}"}).encode()
        await stand.runtime.consumers[f"ledger.{topic}"].on_batch(
            [
                *taken[topic],
                appended(stand, topic, good, headers_of(kind, f"good-{salt}", f"/{len(stand.log.records)}"), b"1"),
            ]
        )
        assert stand.runtime.consumers[f"ledger.{topic}"].unhealthy() is None
        assert f"{kind}-{salt}" in await stand.facts()
    after = await tallied(stand)
    assert sum(after.values()) - sum(before.values()) == len(given_records) + len(TOPIC_OF)
    await _bytes_are_kept(stand, [record for members in taken.values() for record in members])
    await _a_person_decides(stand)


async def _bytes_are_kept(stand: Stand, came: list[Record]) -> None:
    async with stand.database.read() as db:
        rows = await db.fetch("SELECT parked_id FROM runtime.parked WHERE status = 'open'")
        kept = {record.partition: {} for record in came}  # type: dict[Any, dict[int, Record]]
        for row in rows:
            record, _ = await parked._record(db, row["parked_id"], stand.runtime.parking)
            kept.setdefault(record.partition, {})[record.offset] = record
    for record in came:
        found = kept[record.partition].get(record.offset)
        if found is not None:
            assert (found.key, found.value) == (record.key, record.value)
            assert [(name_bytes(n), v) for n, v in found.headers] == [(name_bytes(n), v) for n, v in record.headers]


async def _a_person_decides(stand: Stand) -> None:
    """Each is shown, redriven in vain or not, and dismissed."""
    for row in await stand.rows():
        assert row.reason != "ATTEMPTS_EXHAUSTED", row.text
        async with stand.database.read() as db:
            assert await parked.parked_record(db, row.parked_id, stand.runtime.parking) is not None
        answer = await stand.redriven(row.parked_id)
        if answer["status"] == "open":
            assert answer["reason"] != "ATTEMPTS_EXHAUSTED", answer
            await parked.dismiss(stand.database, row.parked_id, "ops", "fuzz", stand.clock)
    assert await stand.rows() == []
