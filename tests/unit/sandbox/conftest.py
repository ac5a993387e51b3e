"""Every rule holds in memory and on the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.memory import Memory
from tests.unit.sandbox.desk import Desk, with_blue


@pytest.fixture(params=["memory", "disk"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "memory":
        memory = Memory()
        yield Desk(memory, lambda: memory.rows)
        return
    disk = Disk(tmp_path)
    yield Desk(disk, disk.rows)
    disk.close()


@pytest.fixture
def red_desk(desk: Desk) -> Desk:
    """With a blue invoice already issued."""
    return with_blue(desk)
