"""Real servers for the tests that need them: started once for a test session, on free ports, gone with it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shared.runtime.database import Database
from tests.support.databases import Databases
from tests.support.servers import KafkaCluster, PostgresServer, start_kafka, start_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    return Databases(postgres.dsn)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    cluster = start_kafka()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[KafkaCluster]:
    """One that a test may kill or stop."""
    cluster = start_kafka()
    yield cluster
    cluster.stop()


OpenDatabase = Callable[[Path], Awaitable[Database]]


@pytest.fixture
async def open_database(databases: Databases) -> AsyncIterator[OpenDatabase]:
    """Opens a fresh database with the migrations of a folder, as the serving role; closed at the test's end."""
    opened: list[Database] = []

    async def open_one(folder: Path) -> Database:
        opened.append(await databases.open(folder))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()
        await databases.drop(one.dsn)
