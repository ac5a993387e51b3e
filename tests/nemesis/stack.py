"""The stack that faults are played on: three brokers and a PostgreSQL pair behind proxies, and two replicas of each service with data.

A supervisor starts again what ends by itself, after a growing pause, as `make run` does; nobody else does. A fault that wants something to
stay down, or to run from another checkout, says so here.
"""

import asyncio
import os
import signal
import time
from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.demo.client import eventually
from deploy.local import folders, keys, options, plan, process
from deploy.local.ports import Ports
from deploy.local.process import Child
from deploy.local.stack import BACKOFF_FIRST_SECONDS, BACKOFF_MOST_SECONDS, CALM_SECONDS
from tests.live.stack import CHECKOUT, OUTSIDE, REST_SECONDS, LiveStack, answers
from tests.nemesis.brokers import Brokers
from tests.nemesis.pair import STANDBY, Pair, launch_again
from tests.nemesis.proxy import Proxies

REPLICAS = "2"
POSTGRES = "postgres"
LOOK_SECONDS = 0.2
HEALTHY_SECONDS = 120.0
ENDS_SECONDS = 30.0


@dataclass
class Tended:
    """How often a program ended by itself, and when it is started again."""

    ends: int = 0
    again_at: float | None = None


@dataclass
class NemesisStack(LiveStack):
    proxies: Proxies = field(kw_only=True)
    pair: Pair = field(kw_only=True)
    brokers: Brokers = field(kw_only=True)
    checkouts: dict[str, Path] = field(default_factory=dict)
    """Programs that run from another one than ours."""
    down: set[str] = field(default_factory=set)
    """Programs that stay down until their fault has been healed."""
    small_disk: Path | None = None
    """Where the primary's data lie, if that can be filled."""
    may_be_lost: frozenset[str] = frozenset()
    """Invariants that nobody waits for: what was lost stays lost."""
    ended: list[str] = field(default_factory=list)
    """What ended by itself, with its status; the supervisor started it again."""
    tended: dict[str, Tended] = field(default_factory=dict)

    @classmethod
    def begin(cls, synchronous: bool = True, small_disk: Path | None = None) -> "NemesisStack":
        environ = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
        environ |= {"KAFKA_NODES": "3", "REPLICAS": REPLICAS}
        (folder, held), ports, proxies = folders.scratch(), Ports(), Proxies()
        brokers = Brokers.start(proxies)
        pair = Pair.start(proxies, synchronous, small_disk)
        wanted = options.read(CHECKOUT, environ)
        planned = plan.make(wanted, keys.load(folder), folder, pair.dsn, brokers.bootstrap, ports)
        stack = cls(
            *(pair.primary, brokers, planned, folder, held, ports),
            proxies=proxies,
            pair=pair,
            brokers=brokers,
            small_disk=small_disk,
        )
        for program in (*planned.sandbox, *planned.services):
            stack.launch(program.name)
        return stack

    def stop(self) -> None:
        for child in self.children.values():
            child.kill()
        self.brokers.stop()
        self.pair.stop()
        self.proxies.close()
        self.ports.close()
        self.held.close()

    def launch(self, name: str) -> None:
        checkout = self.checkouts.get(name, CHECKOUT)
        command = plan.command(self.program(name), self.planned.shared, os.environ, checkout, self.folder / "log")
        command = replace(command, env={**command.env, "WALL_CLOCK_FILE": str(self.wall_clock(name))})
        self.children[name] = process.start(command)

    def wall_clock(self, name: str) -> Path:
        """By how much this program's wall clock is wrong; a file that is not there says nothing."""
        return self.folder / f"wall-clock-{name}"

    @property
    def services(self) -> list[str]:
        return [one.name for one in self.planned.services]

    # the supervisor

    async def tend(self) -> None:
        """For ever. Only this starts again what has ended."""
        while True:
            for name, child in list(self.children.items()):
                if self._is_due(name, child):
                    self.launch(name)
            for number, child in list(self.brokers.nodes.items()):
                if self._is_due(f"kafka-{number}", child):
                    self.brokers.launch(number)
            for name, server in ((POSTGRES, self.pair.primary), (STANDBY, self.pair.standby)):
                if server.child is not None and self._is_due(name, server.child):
                    launch_again(server)
            await asyncio.sleep(LOOK_SECONDS)  # between two looks

    def _is_due(self, name: str, child: Child) -> bool:
        if name in self.down:
            return False
        tended, now = self.tended.setdefault(name, Tended()), time.monotonic()
        if child.alive:
            if now - child.started_at > CALM_SECONDS:
                tended.ends = 0
            return False
        if tended.again_at is None:
            tended.ends += 1
            self.ended.append(f"{name} with status {child.exit_status}")
            tended.again_at = now + min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** (tended.ends - 1))
        if now < tended.again_at:
            return False
        tended.again_at = None
        return True

    async def stopped(self, name: str) -> None:
        """It is asked to end, and stays down."""
        self.down.add(name)
        child = self.children[name]
        child.send(signal.SIGTERM)

        async def has_ended() -> bool:
            return not child.alive

        await eventually(f"end of {name}", has_ended, ENDS_SECONDS)

    def started(self, name: str) -> None:
        self.launch(name)
        self.down.discard(name)

    async def end_restarts(self) -> None:
        """The supervisor does that."""
        await self.ready()

    # what is asked of it at the end

    async def verified(self, but: Set[str] = frozenset()) -> None:
        """As before, and what may be lost is told too."""
        deadline = time.monotonic() + REST_SECONDS
        while (found := await self.violated()).keys() != but:
            assert not found.keys() <= self.may_be_lost | but, found
            assert time.monotonic() < deadline, found
            await asyncio.sleep(LOOK_SECONDS)  # between two looks

    async def healthy(self) -> None:
        """Every replica says that nothing stands still."""
        for name in self.services:
            url = f"{self.operations(name)}/healthz"
            await eventually(f"health of {name}", lambda one=url: answers(one), HEALTHY_SECONDS)  # type: ignore[misc]
