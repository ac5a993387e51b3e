"""The gateway before a server that plays every owner; notification is away."""

from collections.abc import AsyncIterator

import pytest

from services.gateway.app import MIGRATIONS
from tests.conftest import OpenDatabase
from tests.support.edge import Gateway, echoing, gateway_before

GIVES_UP_SECONDS = 0.3


@pytest.fixture
async def gateway(open_database: OpenDatabase) -> AsyncIterator[Gateway]:
    database = await open_database(MIGRATIONS)
    async with echoing() as (url, seen), gateway_before(database, url, seen) as gateway:
        yield gateway


@pytest.fixture
async def impatient(open_database: OpenDatabase) -> AsyncIterator[Gateway]:
    """The same, soon giving an owner up."""
    database = await open_database(MIGRATIONS)
    async with (
        echoing() as (url, seen),
        gateway_before(database, url, seen, answer_seconds=GIVES_UP_SECONDS) as gateway,
    ):
        yield gateway
