"""Faults of the services' processes: a wrong clock, a long sleep, an earlier version."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import asyncpg

from deploy.demo.client import eventually
from deploy.local.ports import LOOPBACK
from shared.runtime.dsn import database_of
from tests.live.stack import CHECKOUT, READY_SECONDS, answers
from tests.nemesis.faults.fault import Fault, Skipped

OLDEST_COMPATIBLE = "0b50ef6"
"""The oldest commit whose code may run beside ours on our databases; `docs/operations.md` says why this one."""
HOLDER_SECONDS = 30.0


class ClockStepped(Fault):
    """A step, and the step back. A file tells the process, which reads it each time it looks at its clock."""

    async def begin(self) -> None:
        said = self.stack.wall_clock(self.how["process"])
        fresh = said.with_suffix(".new")
        fresh.write_text(str(self.how["by_seconds"]), encoding="utf-8")
        fresh.rename(said)

    async def heal(self) -> str:
        self.stack.wall_clock(self.how["process"]).unlink()
        return "its clock is right again"


class TwoRelays(Fault):
    async def begin(self) -> None:
        self.owner = await eventually("relay", self._holder, HOLDER_SECONDS)
        self.name = self._process_of(self.owner)
        self.stack.children[self.name].send(signal.SIGSTOP)

    async def heal(self) -> str:
        """Only when another one has the lease does the first go on."""
        try:
            overtaken = await eventually("another relay", self._another, HOLDER_SECONDS)
        finally:
            self.stack.children[self.name].send(signal.SIGCONT)
        return f"{self.owner} goes on beside {overtaken}"

    async def _another(self) -> str | None:
        owner = await self._holder()
        return None if owner == self.owner else owner

    async def _holder(self) -> str | None:
        db = await asyncpg.connect(database_of(self.stack.pair.dsn, self.how["service"]))
        try:
            owner: str | None = await db.fetchval("SELECT owner FROM runtime.relay WHERE expires_at > now()")
        finally:
            await db.close()
        return owner

    def _process_of(self, owner: str) -> str:
        service = str(self.how["service"])
        replica = owner.removeprefix(f"{service}-").partition("-")[0]
        return service if replica == "1" else f"{service}-{replica}"


class OldCode(Fault):
    """One replica of each service at a time ends gracefully and comes back as an earlier version, and later as ours again."""

    async def begin(self) -> None:
        commit = os.environ.get("OLD") or OLDEST_COMPATIBLE
        self.old = self.stack.folder / f"checkout-{commit}"
        if not self.old.exists():
            await asyncio.to_thread(_check_out, commit, self.old)
        for name in self._names():
            self.stack.checkouts[name] = self.old
            await self._replaced(name)

    async def heal(self) -> str:
        for name in self._names():
            del self.stack.checkouts[name]
            await self._replaced(name)
        return "all is of one version again"

    def _names(self) -> list[str]:
        """The gateway keeps no data that others read, and an earlier one may not know of several replicas."""
        second = self.how["replica"] == 2
        return [one for one in self.stack.services if one != "gateway" and one.endswith("-2") == second]

    async def _replaced(self, name: str) -> None:
        await self.stack.stopped(name)
        self.stack.started(name)
        program = self.stack.program(name)
        before_operators_had_a_port = f"http://{LOOPBACK}:{program.settings['HTTP_PORT']}/readyz"

        async def is_ready() -> bool:
            return await answers(program.ready_url) or await answers(before_operators_had_a_port)

        await eventually(f"ready {name}", is_ready, READY_SECONDS)


def _check_out(commit: str, folder: Path) -> None:
    """Without a work tree of git's: nothing is left to be taken away again."""
    archive = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, capture_output=True, check=False)
    if archive.returncode != 0:
        raise Skipped(f"the history here does not have {commit}")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
