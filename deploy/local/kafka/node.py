"""One Kafka node: its settings, its formatted folder, its process. Every node is broker and controller in one."""

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from deploy.local import folders
from deploy.local.kafka import jars, wire
from deploy.local.keys import write_private
from deploy.local.ports import LOOPBACK
from deploy.local.process import CannotStartError, Child, Command, failed, start, wait_until
from deploy.local.secure import ADMIN, BROKER, MECHANISM, Secure

START_SECONDS = 90.0
CLUSTER_ID = "cluster-id"
ANY_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
MAIN_CLASS = "kafka.Kafka"
FORMAT_CLASS = "kafka.tools.StorageTool"
SMALL_JVM = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:MaxMetaspaceSize=128m",
    "-XX:ReservedCodeCacheSize=48m",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)


@dataclass(frozen=True)
class Node:
    """One broker's number, addresses and folder."""

    number: int
    port: int
    controller_port: int
    folder: Path
    log: Path
    secure: Secure | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """What whoever puts something between the nodes says otherwise."""
    java_options: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"


@dataclass(frozen=True)
class KafkaPrograms:
    """The Java, the checked jars, and options that make this Java start faster."""

    java: Path
    jars: Path
    options: tuple[str, ...] = ()

    def argv(self, main_class: str, *more: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.xml'}"
        return [str(self.java), *SMALL_JVM, *self.options, logging, "-cp", f"{self.jars}/*", main_class, *more]


def layout(
    folder: Path, logs: Path, ports: list[int], controller_ports: list[int], secure: Secure | None = None
) -> list[Node]:
    pairs = zip(ports, controller_ports, strict=True)
    return [
        Node(number, port, controller, folder / f"node-{number}", logs / f"kafka-{number}.log", secure)
        for number, (port, controller) in enumerate(pairs, start=1)
    ]


def bootstrap_of(nodes: list[Node]) -> str:
    return ",".join(node.address for node in nodes)


def properties(node: Node, nodes: list[Node]) -> dict[str, str]:
    """The voters are listed by address, not kept in the data: a port that is taken next time may move."""
    copies = str(len(nodes))
    in_sync = "2" if len(nodes) >= 3 else "1"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{each.number}@{LOOPBACK}:{each.controller_port}" for each in nodes),
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{node.address}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(node.folder / "data"),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        # Small heap: the cleaner alone would take 128 MiB by default.
        "log.cleaner.dedupe.buffer.size": "4194304",
        "log.cleaner.threads": "1",
        "log.index.size.max.bytes": "1048576",
        "log.segment.bytes": "16777216",
        "num.io.threads": "2",
        "num.network.threads": "1",
        "background.threads": "2",
        "num.recovery.threads.per.data.dir": "1",
        # A broker that was killed is noticed, and taken over, within seconds.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        **({} if node.secure is None else _secured(node, node.secure)),
        **node.settings,
    }


def _secured(node: Node, secure: Secure) -> dict[str, str]:
    """Clients and brokers log in over TLS, controllers show each other certificates, and nothing is allowed that no rule allows."""
    login = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="{secure.users["broker"]}";'
    return {
        "listeners": f"CLIENT://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"CLIENT://{node.address}",
        "listener.security.protocol.map": "CLIENT:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        f"listener.name.client.{MECHANISM.lower()}.sasl.jaas.config": login,
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(secure.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(secure.ca),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:broker;User:CN={BROKER}",
    }


def prepare(nodes: list[Node], using: KafkaPrograms, environ: Mapping[str, str]) -> None:
    """Writes every node's settings, and formats the data of a node that has none."""
    first = nodes[0].folder.parent
    folders.make(first, 0o700)
    kept = first / CLUSTER_ID
    if not kept.exists():
        kept.write_text(_new_id())
    for node in nodes:
        settings = folders.make(node.folder, 0o700) / "server.properties"
        write_private(settings, "\n".join(f"{name}={value}" for name, value in properties(node, nodes).items()))
        if not (node.folder / "data" / "meta.properties").exists():
            _format(node, kept.read_text(), _checkpoint(node, using, settings, environ))


def _format(node: Node, cluster_id: str, checkpoint: Path) -> None:
    """What Kafka's own tool writes, without starting a second Java each time."""
    fresh = node.folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    shutil.copy(checkpoint, fresh / "bootstrap.checkpoint")
    meta = f"version=1\ncluster.id={cluster_id}\nnode.id={node.number}\ndirectory.id={_new_id()}\n"
    (fresh / "meta.properties").write_text(meta)
    fresh.rename(node.folder / "data")


def _new_id() -> str:
    """An id as Kafka writes them. The letter keeps it from starting with a minus, which Kafka's tools would misread."""
    return "K" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def _checkpoint(node: Node, using: KafkaPrograms, settings: Path, environ: Mapping[str, str]) -> Path:
    """What a fresh cluster begins with, written by Kafka's own tool: feature levels once for all and kept beside the jars, users for
    one cluster and kept beside its nodes."""
    if node.secure is None:
        return _formatted(using, settings, environ, using.jars.with_name(f"{using.jars.name}-bootstrap.checkpoint"))
    # In a file, for a command line can be read by everybody.
    arguments = node.folder / "users"
    users = [f"--add-scram\n{MECHANISM}=[name={name},password={secret}]" for name, secret in node.secure.users.items()]
    write_private(arguments, "\n".join(users))
    try:
        return _formatted(using, settings, environ, node.folder.parent / "bootstrap.checkpoint", f"@{arguments}")
    finally:
        arguments.unlink()


def _formatted(using: KafkaPrograms, settings: Path, environ: Mapping[str, str], kept: Path, *more: str) -> Path:
    if not kept.exists():
        argv = using.argv(FORMAT_CLASS, "format", "--cluster-id", ANY_ID, "--config", str(settings), *more)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=dict(environ))
        if done.returncode != 0:
            message = f"Kafka could not format its folder ({done.stderr.strip()[-300:]}): free some space or change KAFKA_NODES"
            raise CannotStartError(message)
        written = settings.parent / "data"
        (written / "bootstrap.checkpoint").rename(kept)
        shutil.rmtree(written)
    return kept


def launch(node: Node, using: KafkaPrograms, environ: Mapping[str, str], notes: Path | None = None) -> Child:
    """Starts one node and returns at once; ask `knows` until it takes part."""
    return start(command(node, using, environ), notes)


def command(node: Node, using: KafkaPrograms, environ: Mapping[str, str]) -> Command:
    own = replace(using, options=(*using.options, *node.java_options))
    return Command(
        name=f"kafka-{node.number}",
        argv=own.argv(MAIN_CLASS, str(node.folder / "server.properties")),
        env={"PATH": environ.get("PATH", ""), "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
        log=node.log,
        cwd=node.folder,
    )


def knows(node: Node, numbers: set[int]) -> bool:
    """Whether this node answers and sees these nodes taking part. One that wants a login tells strangers that it is there, no more."""
    if node.secure is not None:
        return wire.speaks_tls(LOOPBACK, node.port, node.secure.ca)
    return numbers <= set(wire.brokers(LOOPBACK, node.port))


def await_ready(children: dict[int, Child], nodes: list[Node]) -> None:
    """Waits until every started node sees all started nodes."""
    for node in [each for each in nodes if each.number in children]:
        wait_until(partial(_settled, node, children), START_SECONDS)
        if not (children[node.number].alive and knows(node, set(children))):
            for each in children.values():
                each.kill()
            raise failed("Kafka did not start", node.log)


def _settled(node: Node, children: dict[int, Child]) -> bool:
    return not children[node.number].alive or knows(node, set(children))
