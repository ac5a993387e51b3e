"""Real servers for tests: a PostgreSQL and a Kafka of their own, in a temporary folder, on free ports, gone with the
process that started them. DATABASE_URL and KAFKA_BOOTSTRAP name servers to use instead; STACK=docker takes containers.

Start them from the main thread: they die with the thread that started them.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from deploy.local import folders, postgres
from deploy.local.kafka import cluster, node
from deploy.local.ports import Ports
from deploy.local.postgres import PostgresPrograms, PostgresSettings
from deploy.local.process import Child

MEMORY_BYTES_MIN = 4 << 30
"""What the files of two test sessions may grow to, with room to spare."""


@dataclass
class PostgresServer:
    """A server that trusts everybody. `pid` is 0 when it is not ours; then only `dsn` may be used."""

    dsn: str
    settings: PostgresSettings | None = None
    programs: PostgresPrograms | None = None
    child: Child | None = None
    held: IO[str] | None = None
    close: Callable[[], None] = lambda: None

    @property
    def pid(self) -> int:
        return 0 if self.child is None else self.child.pid

    def start(self) -> None:
        """Starts it again after `kill`, on the same port and data."""
        assert self.settings is not None, "a server named by DATABASE_URL is not ours to start"
        assert self.programs is not None
        self.child = postgres.launch(self.settings, self.programs)
        postgres.await_ready(self.child, self.settings)

    def restart(self) -> None:
        assert self.child is not None, "a server named by DATABASE_URL is not ours to restart"
        self.child.stop()
        self.start()

    def kill(self) -> None:
        """Ends it as a crash would."""
        assert self.child is not None, "a server named by DATABASE_URL is not ours to kill"
        self.child.kill()

    def stop(self) -> None:
        """Ends it and removes its data, so there is nothing to write down first."""
        if self.child is not None:
            self.child.kill()
            _discard(self.held)
        self.close()


@dataclass
class KafkaCluster:
    """Brokers numbered from 1. `pids` is empty when the cluster is not ours; then only `bootstrap` may be used."""

    bootstrap: str
    running: cluster.Cluster | None = None
    held: IO[str] | None = None
    close: Callable[[], None] = lambda: None

    @property
    def pids(self) -> dict[int, int]:
        children = {} if self.running is None else self.running.children
        return {number: child.pid for number, child in children.items() if child.alive}

    def kill_node(self, number: int) -> None:
        """Ends one broker as a crash would."""
        assert self.running is not None, "a cluster named by KAFKA_BOOTSTRAP is not ours to kill"
        self.running.children[number].kill()

    def stop_node(self, number: int) -> None:
        """Ends one broker politely: it hands over its partitions first."""
        assert self.running is not None, "a cluster named by KAFKA_BOOTSTRAP is not ours to stop"
        self.running.children[number].stop()

    def start_node(self, number: int) -> None:
        """Starts a broker again and waits until the running ones see each other. After a kill this takes some seconds:
        the controller first lets the dead one's session end."""
        assert self.running is not None, "a cluster named by KAFKA_BOOTSTRAP is not ours to start"
        self.running.launch_node(number)
        self.running.await_ready()

    def stop(self) -> None:
        """Ends it and removes its data, so there is nothing to write down first."""
        if self.running is not None:
            self.running.kill()
            _discard(self.held)
        self.close()


def in_containers() -> bool:
    return os.environ.get("STACK", "") == "docker"


def start_postgres(
    max_connections: int = 300,
    shared_buffers: str = "64MB",
    using: PostgresPrograms | None = None,
    on_disk: bool = False,
) -> PostgresServer:
    """A server in about half a second. `using` picks one of `postgres.sources()`.

    Its files are in memory if there is room: a disk is slow where one test's thousand files go and the next one's come.
    """
    named = os.environ.get("DATABASE_URL", "")
    if named and using is None:
        return PostgresServer(named)
    if in_containers() and using is None:
        from tests.support import containers  # noqa: PLC0415  Docker's client is loaded only where it is used

        dsn, close = containers.start_postgres(max_connections)
        return PostgresServer(dsn, close=close)
    chosen = using or postgres.programs()
    folder, held = folders.scratch(None if on_disk else folders.in_memory(MEMORY_BYTES_MIN))
    settings = PostgresSettings(folder / "postgres", 0, folder / "postgres.log")
    postgres.prepare(settings, chosen)
    ports = Ports()
    (port,) = ports.any_free(1)
    settings = replace(settings, port=port, max_connections=max_connections, shared_buffers=shared_buffers)
    server = PostgresServer(settings.dsn, settings, chosen, held=held, close=ports.close)
    server.start()
    return server


def start_kafka(nodes: int = 1) -> KafkaCluster:
    """A cluster in about a second (three nodes: three); the first time on a machine its programs are fetched."""
    named = os.environ.get("KAFKA_BOOTSTRAP", "")
    if named:
        return KafkaCluster(named)
    if in_containers() and nodes == 1:
        from tests.support import containers  # noqa: PLC0415  Docker's client is loaded only where it is used

        bootstrap, close = containers.start_kafka()
        return KafkaCluster(bootstrap, close=close)
    chosen = cluster.programs(os.environ)
    folder, held = folders.scratch()
    ports = Ports()
    numbers = ports.any_free(2 * nodes)
    laid_out = node.layout(folder / "kafka", folder, numbers[:nodes], numbers[nodes:])
    running = cluster.Cluster(laid_out, chosen, dict(os.environ))
    running.launch()
    running.await_ready()
    return KafkaCluster(running.bootstrap, running, held, ports.close)


def _discard(held: IO[str] | None) -> None:
    if held is not None:
        shutil.rmtree(Path(held.name).parent, ignore_errors=True)
        held.close()
