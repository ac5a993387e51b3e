"""A ledger with its own database, and a desk before it."""

import pytest

from services.ledger.app import MIGRATIONS
from tests.conftest import OpenDatabase
from tests.integration.ledger.desk import Desk
from tests.support.ledger import Ledger, few_at_once


@pytest.fixture
async def ledger(open_database: OpenDatabase) -> Ledger:
    return Ledger(await open_database(MIGRATIONS))


@pytest.fixture
def desk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Of account 1, where four items are many."""
    few_at_once(monkeypatch)
    return Desk(ledger)
