"""The demo on a real stack: a second run on the same data adds nothing and keeps accounts and keys; a broken one is gone on with."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import plan
from tests.live.stack import CHECKOUT, LiveStack

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("live"),
]
COUNTED = {
    "title": ("title", "runtime.inbox"),
    "ledger": ("item", "runtime.parked", "runtime.inbox", "move"),
    "invoicing": ("request", "part", "credit_note", "runtime.outbox"),
    "notification": ("notice",),
    "gateway": ("api_key",),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    running = LiveStack.start()
    yield running
    running.stop()


async def counted(stack: LiveStack) -> dict[str, int]:
    found = {}
    for service, dsn in plan.endpoints(stack.planned)["dsn"].items():  # type: ignore[attr-defined]
        db = await asyncpg.connect(dsn)
        for table in COUNTED[service]:
            found[f"{service}.{table}"] = await db.fetchval(f"SELECT count(*) FROM {table}")
        await db.close()
    return found


async def played(stack: LiveStack, var: Path) -> str:
    environ = {**os.environ, **stack.planned.shared, "KAIPIAO_VAR": str(var)}
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.demo"),
        cwd=CHECKOUT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await demo.communicate()
    assert demo.returncode == 0, output.decode()
    return output.decode()


async def test_a_second_run_of_the_demo_adds_nothing(stack: LiveStack, tmp_path: Path) -> None:
    await stack.ready()
    (tmp_path / "data").mkdir()
    (tmp_path / "endpoints.json").write_text(json.dumps({"state": str(tmp_path / "data")}))
    first = await played(stack, tmp_path)
    await stack.verified()
    left, count = (tmp_path / "demo.json").read_text(), await counted(stack)
    assert await played(stack, tmp_path) == first
    assert (await counted(stack), (tmp_path / "demo.json").read_text()) == (count, left)
    kept = json.loads(left)
    for path in (tmp_path / "demo.json", tmp_path / "data" / "demo.json"):
        path.write_text(json.dumps(kept | {"whole": False, "requests": [], "credit_notes": []}))
    await played(stack, tmp_path)
    await stack.verified()
    assert {name: number for name, number in (await counted(stack)).items() if number != count[name]} == {}
    assert json.loads((tmp_path / "demo.json").read_text())["accounts"] == kept["accounts"]
