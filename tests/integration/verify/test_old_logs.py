"""Kafka keeps records for some days. What the rest of a topic cannot tell is not judged; everything else is, as ever."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deploy.verify.__main__ import violations
from deploy.verify.world import TOPICS, Row, Seen
from services.invoicing.requests.intents import InvoiceIntent
from shared.domain.calendar import SHANGHAI
from tests.support.databases import Databases
from tests.support.examples import an_order
from tests.support.world import FlowWorld, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)


@dataclass
class Later:
    """The same system after Kafka has deleted the first `gone` records of each partition, seen by a checker that knows it or not."""

    world: FlowWorld
    gone: int
    knows: bool = True

    @property
    def platform_log(self) -> Sequence[Row]:
        return self.world.platform_log

    @property
    def logs(self) -> Sequence[Path]:
        return self.world.logs

    @property
    def shortened(self) -> list[str]:
        return [topic for topic in TOPICS if self.world.records(topic)] if self.knows else []

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]:
        return await self.world.rows(service, query, *arguments)

    def records(self, topic: str) -> list[Seen]:
        return [record for record in self.world.records(topic) if record.offset >= self.gone]


@pytest.fixture
async def world(databases: Databases, tmp_path: Path) -> AsyncIterator[FlowWorld]:
    flow = await FlowWorld(NOW).open(databases, tmp_path)
    flow.stage.publish(an_account(1, at=NOW), source="/upstream/accounts")
    for number in ("O1", "O2", "O3"):
        flow.stage.publish(an_order(number, 106_000))
    await flow.stage.settle()
    for key, number in (("k1", "O1"), ("k2", "O2")):
        await flow.request(InvoiceIntent(1, key, numbers=(number,)))
        await flow.stage.let_pass(timedelta(minutes=2))
    yield flow
    await flow.close()


@pytest.mark.parametrize("gone", [1, 2, 10_000])
async def test_topics_that_begin_later_are_no_violation(world: FlowWorld, gone: int) -> None:
    assert await violations(Later(world, gone)) == {}


async def test_a_checker_that_does_not_know_would_raise_the_alarm(world: FlowWorld) -> None:
    assert {"every_effect_once", "nothing_committed_left_unpublished"} <= set(
        await violations(Later(world, 1, knows=False))
    )


async def test_a_topic_that_is_empty_and_should_be_whole_raises_the_alarm(world: FlowWorld) -> None:
    assert "every_record_accounted_for" in await violations(Later(world, 10_000, knows=False))


async def test_what_is_left_is_still_judged(world: FlowWorld) -> None:
    issued = next(row for row in world.platform_log if row["event"] == "issued")
    world.storage.log({**issued, "number": "1" * 20})
    assert "one_invoice_for_a_part" in await violations(Later(world, 1))
