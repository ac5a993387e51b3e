"""Kafka, the pipeline and PostgreSQL together: whatever comes twice, late or during a rebalance takes effect exactly once."""

import asyncio
from collections import Counter

import pytest

from shared.contracts.ledger import ReleaseReservation, ReservationReleased
from shared.runtime.transport import NotDone, Record
from shared.runtime.watchdog import Watchdog
from tests.contract.broker import until
from tests.contract.counting import COMMANDS, Counting, Deployment

pytestmark = [pytest.mark.kafka, pytest.mark.database]

FIRST_OF_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_events_take_effect_once_each_and_are_answered(deployment: Deployment) -> None:
    await deployment.command(range(1, 61))
    await deployment.process()
    await until(lambda: deployment.had_effect(60), "all took effect")
    assert await deployment.effects() == list(range(1, 61))
    await until(lambda: _all_answered(deployment, 60), "all are answered")
    await until(lambda: _all_committed(deployment, 60), "all are committed")


async def test_a_redelivered_batch_takes_effect_once(deployment: Deployment) -> None:
    interruptions, tried = [NotDone(), NotDone()], list[int]()  # the first try, and the careful second one

    async def before(command: ReleaseReservation) -> None:
        tried.append(command.request_id)
        if command.request_id == 5 and interruptions:
            raise interruptions.pop()

    await deployment.command(range(1, 11))
    await deployment.process(counting=Counting(before))
    await until(lambda: deployment.had_effect(10), "all took effect")
    await until(lambda: _all_committed(deployment, 10), "all are committed")
    assert Counter(tried)[5] == 3
    assert await deployment.effects() == list(range(1, 11))


async def test_the_same_event_sent_twice_takes_effect_once(deployment: Deployment) -> None:
    await deployment.process()
    await deployment.command(range(1, 11))
    await deployment.command(range(1, 11))
    await until(lambda: _all_committed(deployment, 20), "all are committed")
    assert await deployment.effects() == list(range(1, 11))
    assert await _number(deployment, "SELECT sum(duplicate) FROM runtime.consumer_offset") == 10


async def test_a_rebalance_during_the_work_lets_two_run_and_one_take_effect(deployment: Deployment) -> None:
    gate, at_work = asyncio.Event(), asyncio.Event()

    async def before(_: ReleaseReservation) -> None:
        at_work.set()
        await gate.wait()

    await deployment.command(range(1, 41))
    await deployment.process("1", Counting(before))
    await at_work.wait()
    await deployment.process("2")
    begun_twice = "SELECT count(*) FROM runtime.batch_attempt WHERE tries > 1"
    await until(lambda: _number(deployment, begun_twice), "the second process has begun what the first is at work on")
    gate.set()
    await until(lambda: _all_committed(deployment, 40), "all are committed")
    assert await deployment.effects() == list(range(1, 41))
    assert await _number(deployment, "SELECT sum(duplicate) FROM runtime.consumer_offset") > 0, "both ran some of them"


async def test_of_two_processes_one_dies_at_work_and_every_effect_comes_once(deployment: Deployment) -> None:
    at_work, calls = asyncio.Event(), list[int]()

    async def before(command: ReleaseReservation) -> None:
        calls.append(command.request_id)
        if len(calls) == 30:
            at_work.set()
            await asyncio.Event().wait()

    dying = await deployment.process("1", Counting(before))
    survivor = await deployment.process("2")
    await until(lambda: dying.transport.assigned() and survivor.transport.assigned(), "both are members")
    for start in range(1, 301, 50):
        await deployment.command(range(start, start + 50))
    await at_work.wait()
    await dying.die()
    await until(lambda: deployment.had_effect(300), "the survivor has done the rest", seconds=30)
    assert await deployment.effects() == list(range(1, 301))
    await until(lambda: _all_answered(deployment, 300), "all are answered", seconds=30)


async def test_commits_that_the_database_lost_are_replayed_from_kafka(deployment: Deployment) -> None:
    process = await deployment.process()
    await deployment.command(range(1, 41))
    await until(lambda: _all_committed(deployment, 40), "all are committed")
    await process.runtime.stop()
    lost = await deployment.lose_commits(of_each_partition=2)
    assert 0 < len(lost) <= 8
    assert await deployment.effects() == sorted(set(range(1, 41)) - set(lost))
    await deployment.process()
    await until(lambda: deployment.had_effect(40), "they are replayed")
    assert await deployment.effects() == list(range(1, 41))
    assert await _number(deployment, "SELECT sum(duplicate) FROM runtime.consumer_offset") == 0, "and nothing else"


async def test_a_log_shorter_than_what_we_have_read_is_not_read_and_says_so(deployment: Deployment) -> None:
    process = await deployment.process()
    await deployment.command(range(1, 11))
    await until(lambda: _all_committed(deployment, 10), "all are committed")
    await process.runtime.stop()
    await deployment.rows("UPDATE runtime.consumer_offset SET next_offset = 1000")
    await deployment.command([11])
    process = await deployment.process()
    await until(process.transport.unhealthy, "it is told")
    watchdog = Watchdog(process.runtime)
    assert (
        "is not read: reading cannot start: LogDiffers: ledger.ledger.commands stands at 1000 of "
        in (watchdog.unhealthy()["consumers"])
    )
    assert watchdog.look() is None, "HTTP and workers go on, and a new process would not read it either"
    assert not process.transport.assigned()
    assert await deployment.effects() == list(range(1, 11))


async def test_records_that_were_deleted_before_they_were_read_are_not_passed_over(deployment: Deployment) -> None:
    process = await deployment.process()
    await deployment.command(range(1, 41))
    await until(lambda: _all_committed(deployment, 40), "all are committed")
    await process.runtime.stop()
    await deployment.broker.delete_records(f"{deployment.broker.name}.{COMMANDS}", 4)
    again = await deployment.process()
    await until(again.transport.assigned, "who has read them all does not mind")
    await again.runtime.stop()
    await deployment.lose_commits(of_each_partition=1)
    process = await deployment.process()
    await until(process.transport.unhealthy, "it is told")
    assert "LogDiffers" in Watchdog(process.runtime).unhealthy()["consumers"]


async def test_answers_leave_in_order_with_their_event_and_the_trace_of_their_cause(deployment: Deployment) -> None:
    await deployment.command(range(1, 101), FIRST_OF_TRACE)
    await deployment.process()
    await until(lambda: _all_answered(deployment, 100), "all are answered")
    by_account: dict[bytes | None, list[int]] = {}
    for record in await deployment.sent():
        by_account.setdefault(record.key, []).append(_answer(record).request_id)
    assert by_account == {b"%d" % (first % 20 + 1): list(range(first, 101, 20)) for first in range(1, 21)}
    headers = {name: (value or b"").decode() for name, value in (await deployment.sent())[0].headers}
    assert headers["traceparent"].split("-")[1] == FIRST_OF_TRACE.split("-")[1]
    assert headers.keys() == {
        *("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type", "traceparent")
    }
    assert (headers["ce_type"], headers["ce_source"]) == ("ReservationReleased", "/kaipiao/ledger")


def _answer(record: Record) -> ReservationReleased:
    return ReservationReleased.model_validate_json(record.value or b"")


async def _all_committed(deployment: Deployment, count: int) -> bool:
    return sum((await deployment.committed()).values()) == count


async def _all_answered(deployment: Deployment, count: int) -> bool:
    """Each at least once; the same answer may go twice, under the same id."""
    sent = await deployment.sent()
    ids = {dict(record.headers)["ce_id"] for record in sent}
    return len(ids) == count and {_answer(record).request_id for record in sent} == set(range(1, count + 1))


async def _number(deployment: Deployment, query: str) -> int:
    return int((await deployment.rows(query))[0][0])
