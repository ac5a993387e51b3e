"""The small pieces of the runtime: ids, settings, seals, envelopes."""

import json
from datetime import UTC, datetime

import pytest

from shared.contracts.ledger import ReleaseReservation
from shared.runtime.clock import VirtualClock, uuid7, uuid7_of
from shared.runtime.dsn import database_of
from shared.runtime.envelope import Envelope, Unreadable, read, write
from shared.runtime.sealing import Sealer, Unsealable
from shared.runtime.transport import Headers, Partition, Record
from tests.support.counting import headers_of

NOW = datetime(2026, 3, 10, tzinfo=UTC)
TIME = "2026-03-10T10:00:00+08:00"
OLD_KEY = "sealed.v1.z5yA_t9qNiIDo0Bd.CD4QB9JZbmklTaJA610uC6wBox5YegjmDLLAkIjN-ebjTgryjEubxufHHHatcwEw"
OLD_VALUE = "sealed.v1.msMCZt_ehkyzIY3u.0nNCcouwHTWBWWHswAmlYR2mIJJjJg"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def a_record(value: bytes | None, headers: Headers, topic: str = "billing.events") -> Record:
    return Record(Partition(topic, 0), 0, b"1", value, headers)


def test_what_is_written_is_read_again() -> None:
    outgoing = write(ReleaseReservation(account_id=1, request_id=2), uuid7_of(1, 2), "/kaipiao/invoicing", NOW, TRACE)
    seen = read(a_record(outgoing.value, outgoing.headers, "ledger.commands"))
    assert isinstance(seen, Envelope)
    assert (seen.type, seen.source, seen.traceparent) == ("ReleaseReservation", "/kaipiao/invoicing", TRACE)
    assert json.loads(seen.body) == {"account_id": 1, "request_id": 2}


def test_both_modes_of_an_event_have_the_same_digest_of_the_same_content() -> None:
    body = {"account_id": 1, "name": "公司"}
    structured = {"specversion": "1.0", "id": "e1", "source": "/acme", "type": "OrderPaid", "time": TIME, "data": body}
    one = read(a_record(json.dumps(structured).encode(), ()))
    compact = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    other = read(a_record(compact, headers_of("OrderPaid")))
    assert isinstance(one, Envelope)
    assert isinstance(other, Envelope)
    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, (), "NO_VALUE"),
        (b"x" * 1_000_001, (), "TOO_LARGE"),
        (b"{", (), "NOT_JSON"),
        (b"[1]", (), "NO_EVENT"),
        (b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":3}', (), "NO_DATA"),
        (b"{}", (("ce_id", b"1"), ("ce_source", b"s")), "BAD_ATTRIBUTE"),
        (b"{}", (("ce_id", b"1" * 1025), ("ce_source", b"s"), ("ce_type", b"t")), "BAD_ATTRIBUTE"),
        (b"{}", (("ce_id", b"\xff"), ("ce_source", b"s"), ("ce_type", b"t")), "NO_EVENT"),
    ],
)
def test_what_cannot_be_read_says_why_and_quotes_nothing(value: bytes | None, headers: Headers, reason: str) -> None:
    seen = read(a_record(value, headers))
    assert isinstance(seen, Unreadable)
    assert seen.reason == reason


def test_nobody_else_writes_to_a_topic_of_ours() -> None:
    headers = (("ce_id", b"1"), ("ce_source", b"/acme"), ("ce_type", b"ReleaseReservation"))
    seen = read(a_record(b"{}", headers, "ledger.commands"))
    assert isinstance(seen, Unreadable)
    assert seen.reason == "WRONG_SOURCE"


def test_ids_sort_by_time_and_say_their_version() -> None:
    early, late = uuid7_of(1, 2**74 - 1), uuid7_of(2, 0)
    assert early < late
    assert (early.version, uuid7().version) == (7, 7)


def test_a_virtual_clock_never_goes_back() -> None:
    clock = VirtualClock(NOW)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.set(datetime(2026, 3, 9, tzinfo=UTC))


def test_each_service_has_its_own_database_of_the_named_one() -> None:
    assert database_of("postgresql://u:p@h:1/kaipiao", "ledger") == "postgresql://u:p@h:1/kaipiao_ledger"


def test_a_seal_opens_with_its_own_key_only_and_only_unchanged() -> None:
    sealer = Sealer(b"k" * 32)
    key, other = sealer.new_wrapped_key(), sealer.new_wrapped_key()
    sealed = sealer.seal(key, "招商银行")
    assert sealer.unseal(key, sealed) == "招商银行"
    assert sealer.seal(key, "招商银行") != sealed
    for wrong_key, value in ((other, sealed), (key, sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "BB"))):
        with pytest.raises(Unsealable):
            sealer.unseal(wrong_key, value)
    with pytest.raises(Unsealable):
        Sealer(b"x" * 32).unseal(key, sealed)


def test_a_sealed_value_opens_in_its_own_place_only() -> None:
    """An old one, which says neither key nor place, opens wherever it always did."""
    sealer = Sealer(b"k" * 32)
    key = sealer.new_wrapped_key()
    sealed = sealer.seal(key, "62220001", "1001/bank_account")
    assert sealer.unseal(key, sealed, "1001/bank_account") == "62220001"
    for elsewhere in ("1001/name", "1002/bank_account", ""):
        with pytest.raises(Unsealable):
            sealer.unseal(key, sealed, elsewhere)
    assert sealer.unseal(OLD_KEY, OLD_VALUE, "1001/bank_account") == "旧值"


@pytest.mark.parametrize(
    "value", ["", "sealed.v1", "sealed.v1.a.b", "sealed.v1.AAAA.AAAA.AAAA", "旧值", "sealed.v1.*.*"]
)
def test_what_is_no_sealed_value_is_unsealable(value: str) -> None:
    sealer = Sealer(b"k" * 32)
    with pytest.raises(Unsealable):
        sealer.unseal(sealer.new_wrapped_key(), value)
    with pytest.raises(Unsealable):
        sealer.unseal(value, sealer.seal(sealer.new_wrapped_key(), "x"))


def test_a_master_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")
