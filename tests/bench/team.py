"""Worker processes started for one round, watched from outside: how long until all is committed, how much time and memory they take."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from shared.runtime.database import Database
from tests.bench.worker import TOPIC

START_SECONDS_MAX, DRAIN_SECONDS_MAX, STOP_SECONDS_MAX = 60.0, 300.0, 40.0
LOOK_SECONDS = 0.01
LOG = Path("var/bench-workers.log")
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
STORED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM runtime.consumer_offset WHERE consumer = $1"


@dataclass
class Team:
    """Workers that have their partitions and wait at the gate."""

    workers: list[Process]
    owner: "asyncpg.Connection[asyncpg.Record]"
    resident_mb: list[float] = field(default_factory=list)

    async def drain(self, end: int) -> float:
        """Seconds from the moment they may read until the offsets stored in PostgreSQL have come to the end."""
        began = time.perf_counter()
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while await self.owner.fetchval(STORED, f"ledger.{TOPIC}") < end:
                self.resident_mb.append(resident_mb(self.workers[0].pid))
                await asyncio.sleep(LOOK_SECONDS)
        return time.perf_counter() - began


@asynccontextmanager
async def team(database: Database, bootstrap: str, size: int, partitions: int) -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        workers = [await _start(database, bootstrap, str(number)) for number in range(1, size + 1)]
        for worker in workers:
            stack.push_async_callback(_stop, worker)
        async with asyncio.timeout(START_SECONDS_MAX):
            await _share(workers, partitions)
        owner = await asyncpg.connect(database.dsn)
        stack.push_async_callback(owner.close)
        yield Team(workers, owner)


async def _start(database: Database, bootstrap: str, replica: str) -> Process:
    roles = database._roles
    argv = [sys.executable, "-m", "tests.bench.worker", database.dsn, roles.work, roles.serve, bootstrap, replica]
    return await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=_log())


def _log() -> int:
    """What they complain about, kept aside."""
    LOG.parent.mkdir(exist_ok=True)
    return os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


async def _share(workers: list[Process], partitions: int) -> None:
    """Until together they have all, each about as many as the others."""
    have = dict.fromkeys(workers, 0)

    async def listen(worker: Process) -> None:
        assert worker.stdout is not None
        while told := await worker.stdout.readline():
            have[worker] = int(told)
            if sum(have.values()) == partitions and max(have.values()) - min(have.values()) <= 1:
                done.set()

    done = asyncio.Event()
    listening = [asyncio.create_task(listen(worker)) for worker in workers]
    await done.wait()
    for task in listening:
        task.cancel()


async def _stop(worker: Process) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()
    assert worker.returncode == 0, "a worker did not end well"


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def cpu_seconds(pid: int) -> float:
    """Of a process, of its children, and of those of them that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return sum(map(int, fields[11:15])) / TICKS + sum(map(cpu_seconds, children))


def busy_seconds() -> float:
    """Of all cores of the machine, whoever used them."""
    fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS
