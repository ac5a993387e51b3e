"""What a record says of itself: attributes, content type, encodings; what cannot be read never raises, and is told of as far as it goes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runtime.about import About, about
from shared.runtime.envelope import Envelope, Unreadable, read
from shared.runtime.transport import Headers, Partition, Record, name_bytes, name_text
from tests.support.counting import headers_of

AT = "2026-03-10T10:00:00+08:00"
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "e1", "source": "/acme", "type": "OrderPaid", "time": AT}


def a_record(
    value: bytes | None, headers: Headers = (), key: bytes | None = b"7", topic: str = "billing.events"
) -> Record:
    return Record(Partition(topic, 0), 0, key, value, headers)


def with_header(name: str, value: bytes | None) -> Headers:
    return (*(one for one in headers_of("OrderPaid") if one[0] != name), (name, value))


def without_header(name: str) -> Headers:
    return tuple(one for one in headers_of("OrderPaid") if one[0] != name)


def reason_of(record: Record) -> str:
    seen = read(record)
    return seen.reason if isinstance(seen, Unreadable) else ""


@pytest.mark.parametrize(
    "headers",
    [
        with_header("ce_specversion", b"0.3"),
        without_header("ce_specversion"),
        without_header("ce_time"),
        with_header("ce_time", b"yesterday"),
        with_header("ce_time", b"1762822800"),
        with_header("ce_time", b"2026-03-10T10:00:00"),
        with_header("ce_id", b"a\x00b"),
        with_header("ce_id", b"a" * 1025),
        with_header("ce_id", b""),
        with_header("ce_source", "a\x85b".encode()),
        with_header("ce_type", None),
    ],
)
def test_attributes_are_what_cloudevents_and_our_contract_say(headers: Headers) -> None:
    assert reason_of(a_record(b"{}", headers)) == "BAD_ATTRIBUTE"


@pytest.mark.parametrize(
    "change", [{"specversion": "0.3"}, {"time": None}, {"time": 5}, {"id": "\ud800"}, {"source": "a\0"}]
)
def test_attributes_of_a_structured_event_are_the_same(change: dict[str, Any]) -> None:
    assert reason_of(a_record(json.dumps(EVENT | {"data": {}} | change).encode())) == "BAD_ATTRIBUTE"


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        (b"application/json", True),
        (b"application/json; charset=utf-8", True),
        (b'Application/JSON;charset="UTF-8"', True),
        (b"application/vnd.acme+json", True),
        (b"application/avro", False),
        (b"text/plain", False),
        (b"application/json; charset=gbk", False),
        (b"application/cloudevents-batch+json", False),
    ],
)
def test_the_content_is_json_in_utf_8(kind: bytes, reads: bool) -> None:
    assert (reason_of(a_record(b"{}", with_header("content-type", kind))) == "") is reads


def test_structured_content_is_json_too() -> None:
    whole = EVENT | {"data": {}}
    structured = (("Content-Type", b"application/cloudevents+json; charset=utf-8"),)
    assert reason_of(a_record(json.dumps(whole).encode(), structured)) == ""
    assert reason_of(a_record(json.dumps(whole | {"datacontenttype": "application/avro"}).encode())) == "NOT_JSON"
    assert reason_of(a_record(json.dumps(whole).encode("utf-16"))) == "NOT_JSON"
    assert reason_of(a_record(json.dumps(whole).replace('"data": {}', '"data": {"x": NaN}').encode())) == "NOT_JSON"
    assert reason_of(a_record(b'{"a":' * 100_000)) == "NOT_JSON"


def test_long_ids_and_sources_are_read_and_have_keys_of_their_own() -> None:
    keys = set()
    for source, event_id in ((64, 64), (65, 64), (64, 65), (1024, 1024), (1024, 1023)):
        seen = read(a_record(b"{}", headers_of("OrderPaid", "i" * event_id, "s" * source)))
        assert isinstance(seen, Envelope)
        assert max(map(len, seen.key)) < 100
        keys.add(seen.key)
    assert len(keys) == 5
    hashed = read(a_record(b"{}", headers_of("OrderPaid", "i" * 65)))
    assert isinstance(hashed, Envelope)
    forged = read(a_record(b"{}", headers_of("OrderPaid", hashed.key[1])))
    assert isinstance(forged, Envelope)
    assert forged.key != hashed.key


def test_what_is_told_of_a_broken_record_is_what_can_be_read_of_it() -> None:
    body = json.dumps({"account_id": 7002, "number": "13900000000\0", "lines": "none"}).encode()
    known = about(a_record(body, headers_of("OrderPaid"), key=b"\xff"))
    assert (known.account_id, known.event_id, known.event_source, known.event_type) == (
        7002,
        "e1",
        "/acme",
        "OrderPaid",
    )
    assert known.event_time == datetime(2026, 3, 10, 2, tzinfo=UTC)
    assert known.number is None, "what is no number may be personal"
    structured = about(a_record(json.dumps(EVENT | {"data": {"account_id": 9, "number": "N1"}}).encode()))
    assert (structured.account_id, structured.event_type, structured.number) == (9, "OrderPaid", "N1")
    assert about(a_record(b"{", key=b"42")) == About(account_id=42)
    assert about(a_record(b'{"account_id": "13900000000"}', key=None)) == About(), "a text of digits may be a phone"
    assert about(a_record(None, key=None)) == About()


def test_the_fingerprint_is_of_source_id_type_and_every_byte() -> None:
    same = {about(a_record(b"{}", headers_of("OrderPaid"))).fingerprint for _ in range(2)}
    others = {
        about(a_record(b"{ }", headers_of("OrderPaid"))).fingerprint,
        about(a_record(b"{}", headers_of("OrderPaid", "e2"))).fingerprint,
        about(a_record(b"{}", headers_of("BillSettled"))).fingerprint,
    }
    assert None not in same | others
    assert (len(same), len(same | others)) == (1, 4)


names = (
    st.text(max_size=10)
    | st.binary(max_size=10).map(name_text)
    | st.sampled_from(["ce_id", "CE_TYPE", "content-type", "\ud83d"])
)


@settings(derandomize=True, database=None, max_examples=300)
@given(
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(names, st.none() | st.binary(max_size=40)), max_size=8).map(tuple),
    st.none() | st.binary(max_size=20),
)
def test_reading_never_raises_and_names_keep_their_bytes(
    value: bytes | None, headers: Headers, key: bytes | None
) -> None:
    record = a_record(value, headers, key)
    assert isinstance(read(record), Envelope | Unreadable)
    assert isinstance(about(record), About)
    for name, _ in headers:
        assert name_bytes(name_text(name_bytes(name))) == name_bytes(name)
