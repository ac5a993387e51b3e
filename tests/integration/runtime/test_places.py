"""A database that has lost commits, as a standby that was promoted behind its primary: nothing is passed over."""

from collections.abc import Sequence

import pytest

from shared.runtime.places import WentBack
from shared.runtime.transport import Record
from shared.runtime.watchdog import Watchdog
from tests.support.counting import COMMANDS, Stand

pytestmark = pytest.mark.database

LOST = """
    DELETE FROM effect WHERE request_id = 2;
    DELETE FROM runtime.inbox WHERE "offset" = 1;
    UPDATE runtime.consumer_offset SET next_offset = 1, applied = 1;
"""


async def test_who_stands_further_than_the_database_commits_nothing_and_ends(stand: Stand) -> None:
    records = await two_of_which_one_is_lost(stand)
    with pytest.raises(WentBack):
        await stand.consumer.on_batch([stand.arrived(3)])
    assert await stand.effects() == [1]
    assert await stand.one("SELECT next_offset FROM runtime.consumer_offset") == 1
    assert await stand.parked() == []
    reason = Watchdog(stand.runtime).look()
    assert reason is not None
    assert f"{records[0].partition.topic}/0 is at 1, and was at 2" in reason

    stand.started()
    assert Watchdog(stand.runtime).look() is None
    await stand.runtime.start()
    await stand.transport.deliver(stand.transport.subscriptions[-1], COMMANDS, 10)
    assert await stand.effects() == [1, 2, 3]
    await stand.runtime.stop()


async def test_it_is_noticed_also_where_nothing_new_arrives(stand: Stand) -> None:
    await two_of_which_one_is_lost(stand)
    with pytest.raises(WentBack):
        await stand.consumer.look_back()
    assert stand.runtime.went_back() is not None


async def test_a_place_that_another_process_has_moved_on_is_no_loss(stand: Stand) -> None:
    await stand.consumer.on_batch([stand.arrived(1)])
    other = stand.runtime
    stand.started()
    await stand.consumer.on_batch([stand.arrived(2)])
    await other.consumers[stand.consumer.name].look_back()
    await other.consumers[stand.consumer.name].on_batch([stand.log.records[COMMANDS][0]])
    assert other.went_back() is None
    assert await stand.one("SELECT next_offset FROM runtime.consumer_offset") == 2


async def test_an_old_record_that_is_redriven_is_no_loss(stand: Stand) -> None:
    records = [stand.arrived(1), stand.arrived(2)]
    await stand.consumer.on_batch(records)
    await stand.consumer.on_batch(records[:1])
    await stand.consumer.look_back()
    assert await stand.effects() == [1, 2]


async def two_of_which_one_is_lost(stand: Stand) -> Sequence[Record]:
    records = [stand.arrived(1), stand.arrived(2)]
    await stand.consumer.on_batch(records)
    await stand.as_owner(LOST)
    return records
