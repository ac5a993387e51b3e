"""The test clock on real Kafka: all who follow move together, and nobody is told that they did before they have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import ValidationError

from deploy.demo.client import eventually
from shared.runtime.clock import Clock
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import NotAcknowledged, SharedClock, TimeCannotGoBack
from tests.contract.broker import Broker
from tests.support.servers import KafkaCluster

pytestmark = pytest.mark.kafka

DAY = timedelta(days=1)
NEAR = timedelta(seconds=1)


class Processes:
    """Processes that follow one clock; `silent` ones have it and say nothing more."""

    def __init__(self, broker: Broker, bootstrap: str) -> None:
        self._settings = Settings(_env_file=None, kafka_bootstrap=bootstrap)
        self._topic = f"{broker.name}.clock"
        self.exits = AsyncExitStack()

    async def start(self, name: str, silent: bool = False) -> tuple[SharedClock, Clock]:
        clock = Clock()
        shared = await self.exits.enter_async_context(self.running(name, clock, silent))
        return shared, clock

    @asynccontextmanager
    async def running(self, name: str, clock: Clock, silent: bool = False) -> AsyncIterator[SharedClock]:
        async with SharedClock(self._settings, name, clock, self._topic).following() as shared:
            follow = asyncio.create_task(asyncio.Event().wait() if silent else shared.follow())
            yield shared
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)


@pytest.fixture
async def processes(broker: Broker, kafka: KafkaCluster) -> AsyncIterator[Processes]:
    processes = Processes(broker, kafka.bootstrap)
    async with processes.exits:
        yield processes


async def test_all_have_moved_when_the_mover_returns(processes: Processes) -> None:
    mover, first = await processes.start("a-1")
    _, second = await processes.start("b-1")
    _, third = await processes.start("b-2")
    await eventually("three followers", lambda: asyncio.sleep(0, mover.followers == ["a-1", "b-1", "b-2"]))
    for days in (1, 9):
        await mover.move_to(first.real() + days * DAY)
        assert {abs(one.offset - days * DAY) < NEAR for one in (first, second, third)} == {True}


async def test_a_process_that_starts_later_knows_before_it_does_anything(processes: Processes) -> None:
    mover, first = await processes.start("a-1")
    await mover.move_to(first.real() + 3 * DAY)
    clock = Clock()
    async with processes.running("late-1", clock, silent=True):
        assert clock.offset == first.offset != timedelta()


async def test_who_says_nothing_is_named_and_then_no_longer_asked(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.shared_clock.ACKNOWLEDGE_SECONDS", 1.0)
    mover, first = await processes.start("a-1")
    await processes.start("hung-1", silent=True)
    await eventually("both", lambda: asyncio.sleep(0, mover.followers == ["a-1", "hung-1"]))
    with pytest.raises(NotAcknowledged) as refused:
        await mover.move_to(first.real() + DAY)
    assert refused.value.late == ["hung-1"]
    await mover.move_to(first.real() + 2 * DAY)


async def test_who_was_taken_off_the_list_and_lives_comes_back(processes: Processes) -> None:
    mover, _ = await processes.start("a-1")
    other, _ = await processes.start("b-1")
    await other._leave("b-1")
    await eventually("b-1 back", lambda: asyncio.sleep(0, mover.followers == ["a-1", "b-1"]))


async def test_a_move_is_told_only_when_the_mover_has_read_it_too(processes: Processes) -> None:
    mover, clock = await processes.start("a-1")
    mover._followers.clear()
    await mover.move_to(clock.real() + DAY)
    assert abs(clock.offset - DAY) < NEAR


async def test_who_comes_in_has_read_its_own_acknowledgement(processes: Processes) -> None:
    shared, _ = await processes.start("a-1", silent=True)
    assert shared.followers == ["a-1"]


async def test_who_ends_politely_is_not_waited_for(processes: Processes) -> None:
    mover, first = await processes.start("a-1")
    async with processes.running("b-1", Clock()):
        await eventually("both", lambda: asyncio.sleep(0, mover.followers == ["a-1", "b-1"]))
    await mover.move_to(first.real() + DAY)
    assert mover.followers == ["a-1"]


async def test_time_never_goes_back(processes: Processes) -> None:
    mover, clock = await processes.start("a-1")
    await mover.move_to(clock.real() + 2 * DAY)
    with pytest.raises(TimeCannotGoBack):
        await mover.move_to(clock.real() + DAY)
    assert abs(clock.offset - 2 * DAY) < NEAR


def test_production_refuses_the_test_clock() -> None:
    assert Settings(_env_file=None).clock == "system"
    with pytest.raises(ValidationError, match="refused in production"):
        Settings(_env_file=None, environment="production", clock="test")
