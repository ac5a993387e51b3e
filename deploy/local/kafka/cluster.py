"""A running cluster of one or three nodes, each with its own pid, so that a test can end one and start it again."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local.kafka import jars, node
from deploy.local.kafka.node import KafkaPrograms, Node
from deploy.local.ports import Ports
from deploy.local.process import CannotStartError, Child

# Writing the class archive at exit takes a few seconds on a small machine.
ARCHIVE_SECONDS = 60.0


@dataclass
class Cluster:
    """Nodes, numbered from 1, and their processes."""

    nodes: list[Node]
    programs: KafkaPrograms
    environ: Mapping[str, str]
    notes: Path | None = None
    children: dict[int, Child] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        return node.bootstrap_of(self.nodes)

    def pid(self, number: int) -> int:
        return self.children[number].pid

    def launch(self) -> None:
        """Prepares and starts every node; returns before they are ready."""
        node.prepare(self.nodes, self.programs, self.environ)
        for each in self.nodes:
            self.launch_node(each.number)

    def launch_node(self, number: int) -> Child:
        self.children[number] = node.launch(self.nodes[number - 1], self.programs, self.environ, self.notes)
        return self.children[number]

    def await_ready(self) -> None:
        running = {number: child for number, child in self.children.items() if child.alive}
        node.await_ready(running or self.children, self.nodes)

    def stop(self) -> None:
        """All are asked together: the last of three would wait for a majority that has left."""
        for child in self.children.values():
            child.ask_to_stop()
        for child in self.children.values():
            child.stop()

    def kill(self) -> None:
        for child in self.children.values():
            child.kill()


def programs(environ: Mapping[str, str]) -> KafkaPrograms:
    """Java and jars, with an archive of loaded classes that halves the start of every later node."""
    plain = KafkaPrograms(jars.java(environ), jars.jars(environ))
    # Another build of the same Java in the same place needs an archive of its own.
    key = hashlib.sha256(f"{plain.java} {jars.version_of(plain.java)}".encode()).hexdigest()[:8]
    archive = plain.jars.with_name(f"{plain.jars.name}-{key}.jsa")
    if not archive.exists():
        _write_archive(plain, archive, environ)
    return replace(plain, options=(f"-XX:SharedArchiveFile={archive}",)) if archive.exists() else plain


def _write_archive(plain: KafkaPrograms, archive: Path, environ: Mapping[str, str]) -> None:
    """Runs one node for a moment; Java writes down at its end what it loaded. Without it everything works, slower."""
    fresh = archive.with_name(f"{archive.name}.{os.getpid()}")
    folder = Path(tempfile.mkdtemp(prefix="kaipiao-archive-"))
    recording = replace(plain, options=(f"-XX:ArchiveClassesAtExit={fresh}",))
    with Ports() as ports:
        port, controller_port = ports.any_free(2)
        once = Cluster(node.layout(folder, folder, [port], [controller_port]), recording, environ)
        _run_once(once)
    shutil.rmtree(folder)
    if fresh.exists():
        fresh.rename(archive)


def _run_once(once: Cluster) -> None:
    try:
        with contextlib.suppress(CannotStartError):
            once.launch()
            once.await_ready()
            once.children[1].stop(ARCHIVE_SECONDS)
    finally:
        once.stop()
