"""A bench on the brokers all tests share, and one on a broker of our own that a test may kill."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.bench import Bench, bench_on
from tests.contract.counting import COMMANDS, EVENTS, Stand, migrations_in
from tests.support.databases import Databases
from tests.support.servers import KafkaCluster, start_kafka


@pytest.fixture
async def bench(kafka: KafkaCluster) -> AsyncIterator[Bench]:
    async with bench_on(kafka.bootstrap) as bench:
        yield bench


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[KafkaCluster]:
    cluster = start_kafka()
    yield cluster
    cluster.stop()


@pytest.fixture
async def own_bench(own_kafka: KafkaCluster) -> AsyncIterator[Bench]:
    if own_kafka.running is None:
        pytest.skip("the broker was named from outside and is not ours to kill")
    if not own_kafka.pids:
        own_kafka.start_node(1)
    async with bench_on(own_kafka.bootstrap) as bench:
        yield bench


@pytest.fixture
async def stand(bench: Bench, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    folder = migrations_in(tmp_path_factory.getbasetemp() / "kafka_counting")
    dsn, roles = await databases.dsn(folder)
    await bench.make(f"{bench.name}.{COMMANDS}", 4)
    await bench.make(f"{bench.name}.{EVENTS}", 2)
    return Stand(bench, dsn, roles, folder)
