"""`declare_topics`: what is missing is made as the settings say, what exists is left alone, and any number of processes may do it."""

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from shared.contracts.topics import TOPICS
from shared.runtime.kafka import declare_topics
from shared.runtime.settings import Settings
from tests.contract.broker import Broker, until

pytestmark = pytest.mark.kafka

OURS = {
    "retention.ms": str(3 * 86_400_000),
    "min.insync.replicas": "1",
    "cleanup.policy": "delete",
    "unclean.leader.election.enable": "false",
}


async def partitions_of(broker: Broker) -> dict[str, int]:
    described = await broker.admin.describe_topics(list(TOPICS))
    return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def settings_of(broker: Broker, topic: str) -> dict[str, str]:
    (answer,) = await broker.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((_, _, _, _, entries),) = answer.resources
    return {name: value for name, value, *_ in entries}


@pytest.fixture
async def empty_broker(own_broker: Broker) -> Broker:
    """A cluster without any of our topics."""
    existing = set(await own_broker.admin.list_topics()) & set(TOPICS)
    if existing:
        await own_broker.admin.delete_topics(list(existing))

    async def gone() -> bool:
        return not set(await own_broker.admin.list_topics()) & set(TOPICS)

    await until(gone, "the topics are gone")
    return own_broker


async def test_missing_topics_are_made_as_the_settings_say(empty_broker: Broker) -> None:
    await declare_topics(empty_broker.settings(topic_partitions=3, topic_retention_days=3))
    assert await partitions_of(empty_broker) == dict.fromkeys(TOPICS, 3)
    for topic in TOPICS:
        assert OURS.items() <= (await settings_of(empty_broker, topic)).items()


async def test_it_waits_until_the_broker_tells_of_them(empty_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker may learn of a topic after the controller has said that it is made."""
    describe, told = (
        AIOKafkaAdminClient.describe_topics,
        [UnknownTopicOrPartitionError.errno, LeaderNotAvailableError.errno],
    )

    async def late(admin: AIOKafkaAdminClient, topics: list[str]) -> list[dict[str, Any]]:
        described = await describe(admin, topics)
        code = told.pop(0) if told else None
        return [topic | {"error_code": topic["error_code"] if code is None else code} for topic in described]

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", late)
    await declare_topics(empty_broker.settings())
    assert told == []
    assert set(await partitions_of(empty_broker)) == set(TOPICS)


async def test_topics_it_may_not_see_end_the_process(empty_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    await declare_topics(empty_broker.settings())

    async def forbidden(_: AIOKafkaAdminClient, topics: list[str]) -> list[dict[str, Any]]:
        return [{"error_code": TopicAuthorizationFailedError.errno, "topic": topic} for topic in topics]

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", forbidden)
    with pytest.raises(TopicAuthorizationFailedError):
        await declare_topics(empty_broker.settings())


async def test_an_existing_topic_is_left_as_its_operators_want_it(empty_broker: Broker) -> None:
    theirs = {"retention.ms": "3600000", "cleanup.policy": "compact"}
    await empty_broker.admin.create_topics([NewTopic("ledger.events", 1, 1, topic_configs=theirs)])
    await declare_topics(empty_broker.settings(topic_partitions=3))
    await declare_topics(empty_broker.settings(topic_partitions=4))
    assert await partitions_of(empty_broker) == dict.fromkeys(TOPICS, 3) | {"ledger.events": 1}
    assert theirs.items() <= (await settings_of(empty_broker, "ledger.events")).items()


async def test_several_processes_may_declare_at_once(empty_broker: Broker) -> None:
    await asyncio.gather(*(declare_topics(empty_broker.settings(topic_partitions=2)) for _ in range(5)))
    assert await partitions_of(empty_broker) == dict.fromkeys(TOPICS, 2)


async def test_what_the_cluster_refuses_ends_the_process(empty_broker: Broker) -> None:
    with pytest.raises(InvalidReplicationFactorError):
        await declare_topics(empty_broker.settings(topic_replication=3))


async def test_without_a_broker_it_says_so_at_once(unused_tcp_port: int) -> None:
    settings = Settings(kafka_bootstrap=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(KafkaConnectionError):
        await declare_topics(settings)
