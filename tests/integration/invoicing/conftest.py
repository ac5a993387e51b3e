"""A desk with its own database, at which account 1 is known."""

import pytest

from services.invoicing.app import MIGRATIONS
from tests.conftest import OpenDatabase
from tests.integration.invoicing.desk import Desk


@pytest.fixture
async def desk(open_database: OpenDatabase) -> Desk:
    desk = Desk(await open_database(MIGRATIONS))
    await desk.knows()
    return desk
