"""A desk with its own database, at which account 1 is known; and the service over it, at an address."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.invoicing.app import MIGRATIONS, invoicing
from shared.runtime.objects import ObjectStore
from tests.conftest import OpenDatabase
from tests.integration.invoicing.desk import NOW, Desk
from tests.support.edge import app_of, serving
from tests.support.world import SETTINGS, FlowWorld


@pytest.fixture
async def desk(open_database: OpenDatabase) -> Desk:
    desk = Desk(await open_database(MIGRATIONS))
    await desk.knows()
    return desk


@pytest.fixture
async def api(desk: Desk, tmp_path: Path) -> AsyncIterator[str]:
    """The address of the service over this desk's database."""
    service = invoicing(SETTINGS, FlowWorld(NOW).platforms, None, ObjectStore(tmp_path.as_uri()))  # type: ignore[arg-type]
    async with serving(app_of(service, desk.database)) as url:
        yield url
