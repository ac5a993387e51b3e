"""A ledger with its own database."""

import pytest

from services.ledger.app import MIGRATIONS
from tests.conftest import OpenDatabase
from tests.support.ledger import Ledger


@pytest.fixture
async def ledger(open_database: OpenDatabase) -> Ledger:
    return Ledger(await open_database(MIGRATIONS))
