"""The pipeline's stand for the tests of the runtime."""

from pathlib import Path

import pytest

from shared.contracts.ledger import ReleaseReservation
from shared.runtime.service import Service
from tests.conftest import OpenDatabase
from tests.support.counting import TABLES, Counting, Stand, upstream_service


@pytest.fixture
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "counting_both"
    folder.mkdir(exist_ok=True)
    (folder / "001.sql").write_text(TABLES, encoding="utf-8")
    return folder


@pytest.fixture
async def counting() -> Counting:
    return Counting()


@pytest.fixture
async def stand(open_database: OpenDatabase, migrations: Path, counting: Counting) -> Stand:
    service = Service("ledger", migrations, handlers={ReleaseReservation: counting.release})
    return Stand(await open_database(migrations), service)


@pytest.fixture
async def batch_stand(open_database: OpenDatabase, migrations: Path, counting: Counting) -> Stand:
    service = Service("ledger", migrations, batches={"ledger.commands": counting.releases})
    return Stand(await open_database(migrations), service)


@pytest.fixture
async def upstream_stand(open_database: OpenDatabase, migrations: Path, counting: Counting) -> Stand:
    return Stand(await open_database(migrations), upstream_service(migrations, counting))
