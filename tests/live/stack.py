"""A whole stack for tests: its own servers, ports and folders, so that it meets neither a `make run` nor another test."""

import asyncio
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import httpx2

from deploy.demo.client import Customer, eventually
from deploy.demo.producer import publish
from deploy.local import folders, keys, options, plan, process
from deploy.local.plan import Plan, Planned
from deploy.local.ports import Ports
from deploy.local.process import Child
from deploy.verify.__main__ import violations
from deploy.verify.world import live
from tests.support.servers import KafkaCluster, PostgresServer, start_kafka, start_postgres

CHECKOUT = Path(__file__).parent.parent.parent
READY_SECONDS = 60.0
REST_SECONDS = 60.0
OUTSIDE = {"DATABASE_URL", "KAFKA_BOOTSTRAP"}


@dataclass
class LiveStack:
    postgres: PostgresServer
    kafka: KafkaCluster
    planned: Plan
    folder: Path
    held: IO[str]
    """The folder's lock: the logs in it stay until the next session of tests begins."""
    ports: Ports
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def start(cls, nodes: int = 1) -> "LiveStack":
        environ = {name: value for name, value in os.environ.items() if name not in OUTSIDE} | {
            "KAFKA_NODES": str(nodes)
        }
        (folder, held), ports = folders.scratch(), Ports()
        postgres, kafka = start_postgres(), start_kafka(nodes)
        wanted = options.read(CHECKOUT, environ)
        planned = plan.make(wanted, keys.load(folder), folder, postgres.dsn, kafka.bootstrap, ports)
        stack = cls(postgres, kafka, planned, folder, held, ports)
        for program in (*planned.sandbox, *planned.services):
            stack.launch(program.name)
        return stack

    def stop(self) -> None:
        for child in self.children.values():
            child.kill()
        self.kafka.stop()
        self.postgres.stop()
        self.ports.close()
        self.held.close()

    # programs

    def program(self, name: str) -> Planned:
        return next(one for one in (*self.planned.sandbox, *self.planned.services) if one.name == name)

    def launch(self, name: str) -> None:
        command = plan.command(self.program(name), self.planned.shared, os.environ, CHECKOUT, self.folder / "log")
        self.children[name] = process.start(command)

    def kill(self, name: str) -> None:
        self.children[name].kill()

    def kill_and_restart(self, name: str) -> None:
        self.kill(name)
        self.launch(name)

    async def ready(self) -> None:
        for program in (*self.planned.sandbox, *self.planned.services):
            await eventually(f"ready {program.name}", lambda url=program.ready_url: answers(url), READY_SECONDS)  # type: ignore[misc]

    async def end_restarts(self) -> None:
        """What ended by itself (a watchdog, a database that was away at start) is started again, as a supervisor would."""
        for name, child in list(self.children.items()):
            if not child.alive:
                self.launch(name)
        await self.ready()

    # people

    def operations(self, name: str) -> str:
        """Where operators reach a service."""
        return self.program(name).operations_url

    async def customer(self, account_id: int) -> Customer:
        gateway, token = self.planned.shared["GATEWAY_URL"], self.planned.shared["OPERATOR_TOKEN"]
        body = {"account_id": account_id, "name": "test"}
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            answer = await http.post(f"{self.operations('gateway')}/ops/api-keys", json=body)
        answer.raise_for_status()
        return Customer(account_id, answer.json()["api_key"], gateway)

    async def publish(self, topic: str, events: Iterable[str]) -> None:
        await publish(self.kafka.bootstrap, topic, list(events))

    # the checker

    async def verified(self, but: Set[str] = frozenset()) -> None:
        """What is under way comes to rest; then every invariant holds, except for those named."""
        deadline = time.monotonic() + REST_SECONDS
        while (found := await self.violated()).keys() != but:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.5)  # between two looks

    async def violated(self) -> dict[str, list[str]]:
        endpoints = plan.endpoints(self.planned)
        world = await live(endpoints, self.folder / "log")
        try:
            return await violations(world)
        finally:
            await world.close()


async def answers(url: str) -> bool:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return await asyncio.to_thread(ask)


def event(kind: str, event_id: str, data: dict[str, Any]) -> str:
    """A CloudEvent as an upstream team writes it."""
    now = datetime.now(UTC).isoformat()
    attributes = {"specversion": "1.0", "id": event_id, "source": "/acme/test", "type": kind, "time": now}
    return json.dumps(attributes | {"data": {"occurred_at": now} | data})


def registered(account_id: int) -> str:
    registration = {"kind": "individual", "name": f"Person {account_id}"}
    data = {
        "account_id": account_id,
        "registration": registration,
        "mailbox": f"a{account_id}@customer.example",
        "mobile": "13800001234",
    }
    return event("AccountRegistered", f"acc-{account_id}", data)


def paid(account_id: int, number: str, cash_fen: int) -> str:
    line = {"subject": "ALIYUN_SERVICE", "cash_fen": cash_fen}
    return event("OrderPaid", f"{account_id}-{number}", {"account_id": account_id, "number": number, "lines": [line]})
