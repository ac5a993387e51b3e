"""The pipeline on real PostgreSQL: done, refused and ignored, transient errors, poison, attempts, parking and redrive."""

from datetime import timedelta

import asyncpg
import pytest

from shared.contracts.ledger import ReservationReleased
from shared.contracts.message import Unacceptable
from shared.runtime import outbox, parked
from shared.runtime.memory import MemoryTransport
from shared.runtime.service import Runtime
from shared.runtime.transport import NotDone, Outgoing, Partition, Record
from tests.support.counting import COMMANDS, NOW, Counting, Killed, Stand, headers_of

pytestmark = pytest.mark.database


async def test_effect_inbox_outbox_and_offset_commit_together(stand: Stand) -> None:
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert await stand.effects() == [1, 2]
    assert await stand.one("SELECT count(*) FROM runtime.inbox") == 2
    assert await stand.one("SELECT count(*) FROM runtime.outbox WHERE sent_at IS NULL") == 2
    assert await stand.one("SELECT next_offset FROM runtime.consumer_offset") == 2


async def test_a_redelivered_message_changes_nothing(stand: Stand) -> None:
    record = stand.arrived(1)
    await stand.consumer.on_batch([record])
    await stand.consumer.on_batch([record])
    assert await stand.effects() == [1]
    assert await stand.one("SELECT duplicate FROM runtime.consumer_offset") == 1


async def test_the_same_id_with_other_content_is_parked(stand: Stand) -> None:
    await stand.consumer.on_batch([stand.arrived(1, event=9), stand.arrived(2, event=9)])
    assert await stand.effects() == [1]
    assert await stand.parked() == [(1, "CONTENT_CONFLICT")]


async def test_a_failed_message_is_tried_again_and_then_takes_effect_once(stand: Stand, counting: Counting) -> None:
    counting.problems = [ValueError("a bug"), ValueError("again")]
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert await stand.effects() == [1, 2]
    assert await stand.one("SELECT count(*) FROM runtime.record_attempt") == 0


async def test_after_five_failures_a_message_is_parked_and_the_next_goes_on(stand: Stand, counting: Counting) -> None:
    counting.problems = [ValueError("a bug")] * 6
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert await stand.effects() == [2]
    assert await stand.parked() == [(0, "ATTEMPTS_EXHAUSTED")]


async def test_a_record_that_kills_the_process_is_parked_in_the_end(stand: Stand, counting: Counting) -> None:
    counting.deadly = {2}
    records = [stand.arrived(1), stand.arrived(2), stand.arrived(3)]
    deaths = 0
    while not await stand.parked():
        try:
            await stand.consumer.on_batch(records)
        except Killed:
            deaths += 1
            assert deaths < 10
    assert await stand.effects() == [1, 3]
    assert await stand.parked() == [(1, "ATTEMPTS_EXHAUSTED")]


async def test_a_message_whose_question_takes_too_long_each_time_is_parked_and_the_next_goes_on(
    stand: Stand, counting: Counting
) -> None:
    counting.problems = [asyncpg.QueryCanceledError("canceling statement due to statement timeout")] * 6
    await stand.consumer.on_batch([stand.arrived(1), stand.arrived(2)])
    assert await stand.effects() == [2]
    assert await stand.parked() == [(0, "ATTEMPTS_EXHAUSTED")]


async def test_what_no_repetition_helps_is_parked_at_once(stand: Stand, counting: Counting) -> None:
    counting.problems = [Unacceptable("NO_ROW", "mend the catalogue"), Unacceptable("NO_ROW", "mend the catalogue")]
    await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.effects() == []
    assert await stand.parked() == [(0, "NO_ROW")]


async def test_an_answer_that_no_broker_would_take_parks_its_cause_and_blocks_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "VALUE_MAX_BYTES", 10)
    await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.effects() == []
    assert await stand.parked() == [(0, "ANSWER_TOO_LARGE")]
    monkeypatch.undo()
    await stand.consumer.on_batch([stand.arrived(2)])
    assert await stand.effects() == [2]


async def test_transient_errors_are_waited_out_and_never_counted(stand: Stand, counting: Counting) -> None:
    counting.problems = [asyncpg.DeadlockDetectedError("circle")] * 8
    await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.effects() == [1]
    assert await stand.parked() == []


async def test_a_transient_error_that_stays_hands_the_batch_back(stand: Stand, counting: Counting) -> None:
    counting.problems = [asyncpg.DeadlockDetectedError("circle")] * 1000
    with pytest.raises(NotDone):
        await stand.consumer.on_batch([stand.arrived(1)])
    counting.problems = []
    await stand.consumer.on_batch(stand.log.records[COMMANDS])
    assert await stand.effects() == [1]


POISON = {
    "no value": (None, (("ce_id", b"1"),)),
    "not json": (b"{", headers_of("ReleaseReservation", source="/kaipiao/invoicing")),
    "no event": (b"{}", ()),
    "null header": (b"{}", (("ce_id", None), ("ce_type", b"ReleaseReservation"), ("ce_source", b"/kaipiao/invoicing"))),
    "binary header": (b"{}", (("ce_id", b"\xff"), ("ce_type", b"x"), ("ce_source", b"/kaipiao/invoicing"))),
    "breaks its contract": (
        b'{"account_id":0,"request_id":5}',
        headers_of("ReleaseReservation", source="/kaipiao/invoicing"),
    ),
    "somebody else's source": (
        b'{"account_id":1,"request_id":5}',
        (("ce_id", b"1"), ("ce_type", b"ReleaseReservation"), ("ce_source", b"/elsewhere")),
    ),
    "structured without data": (b'{"specversion":"1.0","id":"1","source":"/kaipiao/invoicing","type":"x"}', ()),
}


@pytest.mark.parametrize("kind", POISON)
@pytest.mark.parametrize("shape", ["single", "batch"])
async def test_poison_among_good_records_is_parked_and_the_good_take_effect(
    kind: str, shape: str, stand: Stand, batch_stand: Stand
) -> None:
    stand = stand if shape == "single" else batch_stand
    value, headers = POISON[kind]
    first = stand.arrived(1)
    poison = Record(COMMANDS, 1, b"1", value, headers)
    stand.log.records[COMMANDS].append(poison)
    await stand.consumer.on_batch([first, poison, stand.arrived(2)])
    assert await stand.effects() == [1, 2]
    assert [offset for offset, _ in await stand.parked()] == [1]
    assert await stand.one("SELECT value FROM runtime.parked") is None
    async with stand.database.read() as db:
        kept, _ = await parked._record(db, 1, stand.runtime.parking)
    assert kept.value == value


async def test_an_unknown_type_is_skipped_and_counted(stand: Stand) -> None:
    headers = headers_of("Newer", source="/kaipiao/invoicing")
    await stand.consumer.on_batch([stand.log.append(Outgoing("ledger.commands", b"1", b"{}", headers))])
    assert await stand.one("SELECT skipped FROM runtime.consumer_offset") == 1
    assert await stand.parked() == []


async def test_one_bad_record_of_a_batch_does_not_stop_the_others(batch_stand: Stand) -> None:
    await batch_stand.consumer.on_batch([batch_stand.arrived(n) for n in (12, 13, 14)])
    assert await batch_stand.effects() == [12, 14]
    assert await batch_stand.parked() == [(1, "ATTEMPTS_EXHAUSTED")]


async def test_a_list_handler_parks_single_messages_without_failing_the_batch(batch_stand: Stand) -> None:
    await batch_stand.consumer.on_batch([batch_stand.arrived(n) for n in (6, 7, 8)])
    assert await batch_stand.effects() == [6, 7, 8]
    assert await batch_stand.parked() == [(1, "ODD")]


async def test_the_time_of_first_receipt_is_kept_across_retries(batch_stand: Stand) -> None:
    records = [batch_stand.arrived(1), batch_stand.arrived(2)]
    await batch_stand.consumer._begin(records[:1])  # received, and then the process died
    batch_stand.clock.advance(3600)
    await batch_stand.consumer.on_batch(records)
    async with batch_stand.database.read() as db:
        at = {row["request_id"]: row["at"] for row in await db.fetch("SELECT request_id, at FROM effect")}
    assert at == {1: NOW, 2: NOW + timedelta(hours=1)}


async def test_a_redrive_takes_effect_once_with_the_time_of_first_receipt(stand: Stand, counting: Counting) -> None:
    counting.problems = [Unacceptable("NO_ROW", "mend the catalogue"), Unacceptable("NO_ROW", "mend the catalogue")]
    await stand.consumer.on_batch([stand.arrived(1)])
    stand.clock.advance(3600)
    status = await parked.redrive(stand.database, stand.runtime.consumers, 1, "ops", stand.clock, stand.runtime.parking)
    assert status == "redriven"
    assert await stand.effects() == [1]
    assert await stand.one("SELECT at FROM effect") == NOW
    with pytest.raises(LookupError):
        await parked.redrive(stand.database, stand.runtime.consumers, 1, "ops", stand.clock, stand.runtime.parking)


async def test_a_redrive_that_still_fails_stays_open(stand: Stand) -> None:
    record = stand.log.append(Outgoing("ledger.commands", b"1", b"{}", ()))
    await stand.consumer.on_batch([record])
    redriven = await parked.redrive(
        stand.database, stand.runtime.consumers, 1, "ops", stand.clock, stand.runtime.parking
    )
    assert redriven == "open"
    await parked.dismiss(stand.database, 1, "ops", "a test record", stand.clock)
    assert await stand.parked() == []


async def test_reading_starts_at_the_lower_of_both_offsets(stand: Stand) -> None:
    for n in range(1, 6):
        stand.arrived(n)
    await stand.transport.start()
    subscription = stand.transport.subscriptions[0]
    await stand.transport.deliver(subscription, COMMANDS, 5)
    async with stand.database.transaction() as db:  # a failover that lost the last two commits
        await db.execute("UPDATE runtime.consumer_offset SET next_offset = 3")
        await db.execute("DELETE FROM effect WHERE request_id > 3")
    owner = await asyncpg.connect(stand.database.dsn)
    await owner.execute('DELETE FROM runtime.inbox WHERE "offset" >= 3')
    await owner.close()
    await stand.transport.assign(subscription)
    await stand.transport.deliver(subscription, COMMANDS, 5)
    assert await stand.effects() == [1, 2, 3, 4, 5]


async def test_the_relay_sends_in_order_and_marks_after_confirmation(stand: Stand) -> None:
    await stand.consumer.on_batch([stand.arrived(n) for n in (1, 2, 3)])
    assert await stand.runtime.relay.step() is False
    sent = stand.log.records[Partition("ledger.events", 0)]
    assert [ReservationReleased.model_validate_json(record.value or b"").request_id for record in sent] == [1, 2, 3]
    assert await stand.one("SELECT count(*) FROM runtime.outbox WHERE sent_at IS NULL") == 0
    assert dict(sent[0].headers)["ce_source"] == b"/kaipiao/ledger"


async def test_a_second_relay_stands_by_until_the_lease_ends(stand: Stand) -> None:
    await stand.consumer.on_batch([stand.arrived(1)])
    other = Runtime(stand.runtime.service, stand.database, MemoryTransport(stand.log), stand.clock, stand.new_id, "2")
    await stand.runtime.relay._hold_lease()
    await other.relay.step()
    assert await stand.one("SELECT count(*) FROM runtime.outbox WHERE sent_at IS NULL") == 1
    stand.clock.advance(60)
    await other.relay.step()
    assert await stand.one("SELECT count(*) FROM runtime.outbox WHERE sent_at IS NULL") == 0
