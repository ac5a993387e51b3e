"""The stack while it runs: brings everything up in order, starts again what ends, takes everything down in order."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

from deploy.local import folders, keys, notes, plan, postgres, secure
from deploy.local.kafka import node
from deploy.local.kafka.node import KafkaPrograms
from deploy.local.options import Options
from deploy.local.plan import Plan, Planned
from deploy.local.ports import Ports
from deploy.local.postgres import PostgresSettings
from deploy.local.process import Child, Command, failed, start
from deploy.local.secure import Secure
from deploy.local.web import answers_ok

POLL_SECONDS = 0.03
READY_SECONDS = 120.0
SERVICE_GRACE_SECONDS = 25.0
SERVER_GRACE_SECONDS = 10.0
# A program that ends this often before it was ever ready will not get ready.
EARLY_ENDS_MAX = 4
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MOST_SECONDS = 10.0
# Of a program that has run this long, earlier ends no longer count.
CALM_SECONDS = 60.0
# sysexits.h: a setting is wrong, so starting again cannot help.
EX_CONFIG = 78
# Taken down in this order: whoever needs another goes first.
ORDER = ("scenario", "service", "sandbox", "kafka", "postgres")

Ready = Callable[[], Awaitable[bool]]


@dataclass
class Watched:
    """One program, what it belongs to, and how often it had to be started again."""

    child: Child
    layer: str
    ready: Ready
    was_ready: bool = False
    ends: int = 0
    again_at: float | None = None


@dataclass
class Stack:
    """Everything one `make run` started."""

    options: Options
    state: Path
    programs: KafkaPrograms | None
    watched: dict[str, Watched] = field(default_factory=dict)
    ports: Ports = field(default_factory=Ports)
    planned: Plan | None = None
    secure: Secure | None = None
    # Called whenever a program got a new pid.
    on_change: Callable[[], None] = lambda: None

    @property
    def notes(self) -> Path:
        return self.state / "running"

    async def up(self) -> None:
        """PostgreSQL and Kafka side by side, then everything above them side by side."""
        secrets = keys.load(folders.make(self.state))
        for private in ("running", "documents", "sandbox", "kafka"):
            folders.make(self.state / private, 0o700)
        if self.options.secure:
            self.secure = secure.prepare(self.state, secrets)
        bootstrap = self.options.kafka_bootstrap or self._start_kafka()
        database = self.options.database_url or self._start_postgres(secrets.database_password)
        await self._ready({"postgres"})
        own_logins = not self.options.database_url
        self.planned = plan.make(
            self.options, secrets, self.state, database, bootstrap, self.ports, own_logins=own_logins
        )
        preparing = plan.preparing(self.planned, secrets, own_logins, self.options.secure)
        children = [start(self.command(each), self.notes) for each in preparing]
        await self._ready({"kafka"})
        await self._done(children)
        for layer, programs in (("sandbox", self.planned.sandbox), ("service", self.planned.services)):
            for each in programs:
                self._start(self.command(each), layer, _http(each.ready_url))
        await self._ready({"sandbox", "service"})

    async def scenario(self) -> int:
        """Plays the demo; what it prints goes straight to the terminal."""
        assert self.planned is not None, "it is planned once the stack is up"
        child = start(self.command(plan.demo(self.planned), to_terminal=True), self.notes)
        self.watched["scenario"] = Watched(child, "scenario", _always_ready, was_ready=True)
        await _until(lambda: not child.alive)
        child.forget()
        del self.watched["scenario"]
        return child.exit_status or 0

    async def watch(self) -> None:
        """Starts again whatever ends, after a growing pause."""
        while True:
            for name, watched in list(self.watched.items()):
                if watched.layer != "scenario":
                    self._tend(name, watched)
            await asyncio.sleep(0.2)

    async def down(self, at_once: asyncio.Event) -> None:
        """Ends everything, layer by layer; `at_once` ends the waiting for those that take their time."""
        for layer in ORDER:
            children = [each.child for each in self.watched.values() if each.layer == layer]
            grace = SERVICE_GRACE_SECONDS if layer == "service" else SERVER_GRACE_SECONDS
            for child in children:
                child.ask_to_stop()
            deadline = monotonic() + grace
            await _until(partial(_settled, children, at_once, deadline))
            for child in children:
                child.kill()
        self.ports.close()

    def pids(self) -> dict[str, int]:
        return {name: each.child.pid for name, each in self.watched.items() if each.child.alive}

    def command(self, program: Planned, *, to_terminal: bool = False) -> Command:
        assert self.planned is not None, "settings are known once PostgreSQL and Kafka are"
        logs = None if to_terminal else folders.LOGS
        return plan.command(program, self.planned.shared, self.options.environ, folders.CHECKOUT, logs)

    def _start(self, command: Command, layer: str, ready: Ready) -> None:
        self.watched[command.name] = Watched(start(command, self.notes), layer, ready)

    def _start_kafka(self) -> str:
        assert self.programs is not None, "Kafka's programs are fetched unless KAFKA_BOOTSTRAP is set"
        numbers = range(self.options.kafka_nodes)
        demanded = self.options.kafka_port
        first = self.ports.demand(demanded, "KAFKA_PORT") if demanded else self.ports.prefer(plan.KAFKA_PORT)
        brokers = [first, *(self.ports.prefer(first + number) for number in numbers[1:])]
        controllers = [self.ports.prefer(plan.KAFKA_CONTROLLER_PORT + number) for number in numbers]
        nodes = node.layout(self.state / "kafka", folders.LOGS, brokers, controllers, self.secure)
        node.prepare(nodes, self.programs, self.options.environ)
        everybody = {each.number for each in nodes}
        for each in nodes:
            command = node.command(each, self.programs, self.options.environ)
            self._start(command, "kafka", _blocking(partial(node.knows, each, everybody)))
        return node.bootstrap_of(nodes)

    def _start_postgres(self, password: str) -> str:
        demanded = self.options.postgres_port
        port = self.ports.demand(demanded, "POSTGRES_PORT") if demanded else self.ports.prefer(plan.POSTGRES_PORT)
        log = folders.LOGS / "postgres.log"
        settings = PostgresSettings(self.state / "postgres", port, log, password, secure=self.secure)
        using = postgres.programs(tls=self.secure is not None)
        postgres.prepare(settings, using)
        self._start(postgres.command(settings, using), "postgres", _blocking(lambda: postgres.answers(port)))
        return settings.dsn

    async def _done(self, children: list[Child]) -> None:
        """What has to be done once before anything above starts."""
        await _until(lambda: not any(child.alive for child in children))
        for child in children:
            child.forget()
            if child.exit_status:
                raise failed(f"{child.command.name} ended with status {child.exit_status}", child.command.log)

    async def _ready(self, layers: set[str]) -> None:
        deadline = monotonic() + READY_SECONDS
        while waiting := [each for each in self.watched.values() if each.layer in layers and not each.was_ready]:
            for each in waiting:
                each.was_ready = each.child.alive and await each.ready()
            if monotonic() > deadline:
                slow = waiting[0].child.command
                raise failed(f"{slow.name} is not ready after {READY_SECONDS:.0f} s", slow.log)
            await asyncio.sleep(POLL_SECONDS)

    def _tend(self, name: str, watched: Watched) -> None:
        if watched.child.alive:
            if monotonic() - watched.child.started_at > CALM_SECONDS:
                watched.ends = 0
            return
        if watched.again_at is None:
            watched.ends += 1
            status = watched.child.exit_status
            early = not watched.was_ready and watched.ends >= EARLY_ENDS_MAX
            if early or status == EX_CONFIG:
                raise failed(f"{name} ended with status {status}", watched.child.command.log)
            pause = min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** (watched.ends - 1))
            watched.again_at = monotonic() + pause
            notes.tell(f"{name} ended with status {status}; starting it again in {pause:g} s (var/log/{name}.log)")
        if monotonic() >= watched.again_at:
            watched.child.forget()
            watched.child = start(watched.child.command, self.notes)
            watched.again_at = None
            self.on_change()


async def _until(condition: Callable[[], bool]) -> None:
    """Whether a child lives is a question, not an event: a thread per child would cost more than asking."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)


def _settled(children: list[Child], at_once: asyncio.Event, deadline: float) -> bool:
    return not any(child.alive for child in children) or at_once.is_set() or monotonic() > deadline


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def keep_previous_logs() -> None:
    """Each run has fresh logs; those of the run before stay beside them."""
    for log in folders.make(folders.LOGS).glob("*.log"):
        log.rename(log.with_suffix(".log.1"))


def _http(url: str) -> Ready:
    return lambda: answers_ok(url)


def _blocking(question: Callable[[], bool]) -> Ready:
    """A question over loopback that answers at once or fails at once."""

    async def ask() -> bool:
        return question()

    return ask


async def _always_ready() -> bool:
    return True
