"""A desk with its own database, at which account 1 is known; and the service over it, at an address."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.invoicing.app import MIGRATIONS, invoicing
from shared.runtime.objects import ObjectStore
from shared.runtime.service import Service
from shared.runtime.web import callback_app
from tests.conftest import OpenDatabase
from tests.integration.invoicing.desk import KEYS, NOW, Desk
from tests.support.edge import app_of, runtime_of, serving
from tests.support.world import SETTINGS, FlowWorld, Held


@pytest.fixture
async def desk(open_database: OpenDatabase) -> Desk:
    desk = Desk(await open_database(MIGRATIONS))
    await desk.knows()
    return desk


@pytest.fixture
async def api(desk: Desk, tmp_path: Path) -> AsyncIterator[str]:
    """The address of the service over this desk's database."""
    async with serving(app_of(_service(tmp_path), desk.database)) as url:
        yield url


@pytest.fixture
async def callbacks(desk: Desk, tmp_path: Path) -> AsyncIterator[str]:
    """Where the platform reaches this desk: a listener of its own."""
    app = callback_app(runtime_of(_service(tmp_path), desk.database), "invoicing")
    assert app is not None
    async with serving(app) as url:
        yield url


def _service(folder: Path) -> Service:
    return invoicing(SETTINGS, FlowWorld(NOW).platforms, None, ObjectStore(folder.as_uri()), Held(KEYS))  # type: ignore[arg-type]
