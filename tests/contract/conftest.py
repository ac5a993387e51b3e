"""The broker that all tests share, one of our own that a test may kill, and a small service on the shared one."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.broker import Broker, broker_on
from tests.contract.counting import COMMANDS, EVENTS, Deployment, migrations_in
from tests.support.databases import Databases
from tests.support.servers import KafkaCluster


@pytest.fixture
async def broker(kafka: KafkaCluster) -> AsyncIterator[Broker]:
    async with broker_on(kafka.bootstrap) as broker:
        yield broker


@pytest.fixture
async def own_broker(own_kafka: KafkaCluster) -> AsyncIterator[Broker]:
    if own_kafka.running is None:
        pytest.skip("the broker was named from outside and is not ours to kill")
    if not own_kafka.pids:
        own_kafka.start_node(1)
    async with broker_on(own_kafka.bootstrap) as broker:
        yield broker


@pytest.fixture
async def deployment(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = migrations_in(tmp_path_factory.getbasetemp() / "kafka_counting")
    dsn, roles = await databases.dsn(folder)
    await broker.make(f"{broker.name}.{COMMANDS}", 4)
    await broker.make(f"{broker.name}.{EVENTS}", 2)
    return Deployment(broker, dsn, roles, folder)
