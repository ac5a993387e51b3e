"""What the checker can see. `Live` reads a running stack; the simulation shows its own world in the same shape."""

import asyncio
import json
import os
import ssl
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

SERVICES = ("title", "ledger", "invoicing", "notification")
TOPICS = (
    "billing.events",
    "account.events",
    "title.events",
    "ledger.commands",
    "ledger.events",
    "invoicing.events",
    "notification.events",
    "parking.events",
)
UPSTREAM = ("billing.events", "account.events")
Row = dict[str, Any]
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Seen:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]

    def header(self, name: str) -> str:
        return (self.headers.get(name) or b"").decode(errors="replace")


class World(Protocol):
    @property
    def platform_log(self) -> Sequence[Row]:
        """Calls and issued documents in the platform's own words, oldest first."""
        ...

    @property
    def logs(self) -> Sequence[Path]: ...

    @property
    def shortened(self) -> Collection[str]:
        """Topics of which the first records have left: Kafka keeps them for some days."""
        ...

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]: ...

    def records(self, topic: str) -> Sequence[Seen]: ...


@dataclass
class Live:
    """A running stack, read through its doors: DSNs, brokers, the platform's log."""

    connections: dict[str, "asyncpg.Connection[asyncpg.Record]"]
    topics: dict[str, list[Seen]]
    platform_log: Sequence[Row] = ()
    logs: Sequence[Path] = field(default_factory=list)
    shortened: Collection[str] = ()

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]:
        return [dict(row) for row in await self.connections[service].fetch(query, *arguments)]

    def records(self, topic: str) -> Sequence[Seen]:
        return self.topics.get(topic, [])

    async def close(self) -> None:
        for connection in self.connections.values():
            await connection.close()


async def live(endpoints: dict[str, Any], log_folder: Path | None = None) -> Live:
    """`endpoints` is what `var/endpoints.json` holds."""
    connections = {service: await asyncpg.connect(endpoints["dsn"][service]) for service in SERVICES}
    platform_log = await asyncio.to_thread(_platform_log, f"{endpoints['tax_platform']}/log")
    logs = sorted(log_folder.glob("*.log")) if log_folder is not None else []
    topics, shortened = await read_topics(endpoints["kafka"], kafka_security(endpoints))
    return Live(connections, topics, platform_log, logs, shortened)


def _platform_log(url: str) -> list[Row]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own loopback address
        rows: list[Row] = json.load(answer)
    return rows


def kafka_security(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """How the operator logs in at Kafka; nothing where Kafka is open."""
    login = endpoints.get("kafka_logins", {}).get("operator")
    if login is None:
        return {}
    said = endpoints["kafka_security"]
    return {
        "security_protocol": said["security_protocol"],
        "sasl_mechanism": said["sasl_mechanism"],
        "ssl_context": ssl.create_default_context(cafile=said["ca_file"]),
        "sasl_plain_username": login["username"],
        "sasl_plain_password": login["password"],
    }


async def read_topics(
    bootstrap: str, security: Mapping[str, Any] = NOTHING, topics: Sequence[str] = TOPICS
) -> tuple[dict[str, list[Seen]], set[str]]:
    """Everything the topics hold, from the first offset to the end as of now, and which of them do not begin at zero any more.
    Joins no group and commits nothing.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        **security,
    )
    await consumer.start()
    found: dict[str, list[Seen]] = {topic: [] for topic in topics}
    try:
        parts = await _partitions(bootstrap, security, topics)
        consumer.assign(parts)
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for part, records in (await consumer.getmany(timeout_ms=500)).items():
                found[part.topic] += [
                    Seen(part.topic, part.partition, one.offset, one.key, one.value, dict(one.headers))
                    for one in records
                ]
    finally:
        await consumer.stop()
    return found, {part.topic for part, begin in begins.items() if begin > 0}


async def _partitions(bootstrap: str, security: Mapping[str, Any], topics: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]


def endpoints_file() -> Path:
    return Path(os.environ.get("KAIPIAO_VAR", "var")) / "endpoints.json"
