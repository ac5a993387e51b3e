"""What an operator has dismissed shall never take effect, also when Kafka brings it again."""

from dataclasses import replace

import pytest

from shared.contracts.message import Unacceptable
from shared.runtime import parked
from tests.support.counting import Counting, Stand

pytestmark = pytest.mark.database

NO_ROW = Unacceptable("NO_ROW", "mend the catalogue")


async def dismissed(stand: Stand) -> None:
    (row,) = await stand.rows()
    await parked.dismiss(stand.database, row.parked_id, "ops", "nobody wants it", stand.clock)
    stand.started()
    await stand.transport.start()


async def test_a_dismissed_record_that_is_read_again_has_no_effect(stand: Stand, counting: Counting) -> None:
    counting.problems = [NO_ROW, NO_ROW]
    records = [stand.arrived(1), stand.arrived(2)]
    await stand.consumer.on_batch(records)
    await dismissed(stand)
    for _ in range(2):
        await stand.consumer.on_batch([*records, stand.arrived(3)])
    assert (await stand.effects(), await stand.parked()) == ([2, 3], [])
    assert await stand.one("SELECT status FROM runtime.parked") == "dismissed"


async def test_a_dismissed_line_of_a_batch_that_is_read_again_has_no_effect(
    batch_stand: Stand, counting: Counting
) -> None:
    counting.odd_times = 1
    records = [batch_stand.arrived(6), batch_stand.arrived(7)]
    await batch_stand.consumer.on_batch(records)
    await dismissed(batch_stand)
    await batch_stand.consumer.on_batch(records)
    assert await batch_stand.effects() == [6, 6, 7], "this handler writes a row, and then parks 7"


async def test_another_record_at_the_place_of_a_dismissed_one_counts(stand: Stand, counting: Counting) -> None:
    """A log that lost its end goes on with other records."""
    counting.problems = [NO_ROW, NO_ROW]
    record = stand.arrived(1)
    await stand.consumer.on_batch([record])
    await dismissed(stand)
    await stand.consumer.on_batch([replace(stand.arrived(2), offset=record.offset)])
    assert await stand.effects() == [2]
    assert await stand.one("SELECT status FROM runtime.parked") == "dismissed"


async def test_a_dismissed_event_that_upstream_sends_again_counts(stand: Stand, counting: Counting) -> None:
    counting.problems = [NO_ROW, NO_ROW]
    await stand.consumer.on_batch([stand.arrived(1)])
    await dismissed(stand)
    await stand.consumer.on_batch([stand.arrived(1)])
    assert await stand.effects() == [1]
