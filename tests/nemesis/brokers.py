"""Three brokers with a proxy before each client's listener and on each link between two of them, so that any pair can be cut.

Clients are told the proxy's address. Brokers know each other by name, and each has a hosts file of its own: there the name of another is
the address of the proxy on the link from this one to that one.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local import folders
from deploy.local.kafka import cluster, node
from deploy.local.kafka.node import Node
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.process import Child
from tests.nemesis.proxy import Proxies, Proxy
from tests.support.servers import KafkaCluster

NUMBERS = (1, 2, 3)
PAIRS = ((1, 2), (1, 3), (2, 3))
LAG_MS = 4000
"""A follower that is silent for so long is no longer in sync. Kafka's own half a minute is longer than a schedule's fault."""


@dataclass
class Brokers(KafkaCluster):
    """Its `bootstrap` are proxies."""

    clients: dict[int, Proxy] = field(default_factory=dict)
    links: dict[tuple[int, int], list[Proxy]] = field(default_factory=dict)
    """From one broker to another: what brokers say to each other, and what controllers do."""

    @classmethod
    def start(cls, proxies: Proxies) -> "Brokers":
        chosen = cluster.programs(os.environ)
        (folder, held), ports = folders.scratch(), Ports()
        numbers = ports.any_free(9)
        nodes = node.layout(folder / "kafka", folder, numbers[:3], numbers[3:6])
        between = dict(zip(NUMBERS, numbers[6:], strict=True))
        clients = {one.number: proxies.open(f"broker {one.number}", (LOOPBACK, one.port)) for one in nodes}
        links = {
            (one, other.number): [
                proxies.open(f"{one} to {other.number}", (LOOPBACK, port), _on_the_link(one, other.number), port)
                for port in (between[other.number], other.controller_port)
            ]
            for one in NUMBERS
            for other in nodes
            if one != other.number
        }
        behind = [_behind(each, nodes, clients[each.number].port, between[each.number], folder) for each in nodes]
        running = cluster.Cluster(behind, chosen, dict(os.environ))
        running.launch()
        running.await_ready()
        bootstrap = ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in clients.values())
        return cls(bootstrap, running, held, ports.close, clients, links)

    @property
    def nodes(self) -> dict[int, Child]:
        assert self.running is not None, "they are ours"
        return self.running.children

    def launch(self, number: int) -> None:
        """On the data that are there; returns before it takes part."""
        assert self.running is not None, "they are ours"
        self.running.launch_node(number)

    def take_part(self) -> bool:
        """Whether each of them sees them all."""
        assert self.running is not None, "they are ours"
        return all(node.knows(one, {*NUMBERS}) for one in self.running.nodes)

    def between(self, one: int, other: int) -> list[Proxy]:
        """All that the two say to each other."""
        return [*self.links[one, other], *self.links[other, one]]

    def copying(self, numbers: Iterable[int]) -> list[Proxy]:
        """What the others fetch from these brokers, and these from the others; not what controllers say."""
        return [proxies[0] for (one, other), proxies in self.links.items() if {one, other} & {*numbers}]


def _on_the_link(one: int, other: int) -> str:
    return f"127.7.{one}.{other}"


def _behind(one: Node, nodes: list[Node], client_port: int, port: int, folder: Path) -> Node:
    hosts = folder / f"hosts-{one.number}"
    known = {f"broker-{each.number}": _on_the_link(one.number, each.number) for each in nodes}
    known |= dict.fromkeys(("localhost", socket.gethostname(), f"broker-{one.number}"), LOOPBACK)
    hosts.write_text("".join(f"{address} {name}\n" for name, address in known.items()), encoding="utf-8")
    settings = {
        "listeners": f"CLIENT://{one.address},BETWEEN://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{one.controller_port}",
        "advertised.listeners": f"CLIENT://{LOOPBACK}:{client_port},BETWEEN://broker-{one.number}:{port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,BETWEEN:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BETWEEN",
        "controller.quorum.voters": ",".join(
            f"{each.number}@broker-{each.number}:{each.controller_port}" for each in nodes
        ),
        "replica.lag.time.max.ms": str(LAG_MS),
    }
    return replace(one, settings=settings, java_options=(f"-Djdk.net.hosts.file={hosts}",))
