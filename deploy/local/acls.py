"""`python -m deploy.local.acls`: topics, and who may read and write which, for SECURE=1. It may be repeated.

Who writes a topic is its owner, as the table of topics says; who reads which stands here, and a test compares it with the services.
"""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from shared.contracts.topics import TOPICS
from shared.runtime.clock import Clock
from shared.runtime.kafka import declare_topics
from shared.runtime.programs import SERVICES
from shared.runtime.security import kafka_security
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import TOPIC as CLOCK_TOPIC
from shared.runtime.shared_clock import SharedClock

READS: dict[str, tuple[str, ...]] = {
    "title": ("account.events", "invoicing.events"),
    "ledger": ("account.events", "billing.events", "invoicing.events", "ledger.commands", "title.events"),
    "invoicing": ("ledger.events", "title.events"),
    "notification": ("invoicing.events", "title.events"),
    "finance": ("invoicing.events",),
    "upstream": ("parking.events",),
    "operator": tuple(TOPICS),
}
FOLLOWERS = (*SERVICES, "tax_platform")
"""Whoever follows the test clock; any of them may move it, which production refuses."""
START_SECONDS, PAUSE_SECONDS = 60.0, 0.2
TOPIC, GROUP, LITERAL, PREFIXED, ALLOW = 2, 3, 3, 4, 3
READ, WRITE, DESCRIBE = 3, 4, 8


class Rule(NamedTuple):
    """What one user may do with one thing, in Kafka's numbers."""

    user: str
    resource: int
    name: str
    pattern: int
    operation: int


def rules() -> Iterator[Rule]:
    """All that is allowed; nothing else is."""
    for topic in TOPICS.values():
        for writer in SERVICES if topic.owner == "kaipiao" else (topic.owner,):
            yield Rule(writer, TOPIC, topic.name, LITERAL, WRITE)
    for user, topics in READS.items():
        yield from (Rule(user, TOPIC, topic, LITERAL, READ) for topic in topics)
        yield Rule(user, GROUP, user, PREFIXED, READ)
    for user in FOLLOWERS:
        yield from (Rule(user, TOPIC, CLOCK_TOPIC, LITERAL, operation) for operation in (READ, WRITE))
    for user in SERVICES:
        yield from (Rule(user, TOPIC, topic, LITERAL, DESCRIBE) for topic in TOPICS)


async def allow(settings: Settings) -> None:
    """The administrator's work; Kafka may still be starting."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await _allow(settings)
            except (KafkaError, OSError):
                await asyncio.sleep(PAUSE_SECONDS)


async def _allow(settings: Settings) -> None:
    await declare_topics(settings)
    await SharedClock(settings, "", Clock())._declare_topic()  # noqa: SLF001 - it is made by whoever follows first, which may not here
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_security(settings))
    await admin.start()
    try:
        for rule in rules():
            asked = CreateAclsRequest(
                rule.resource, rule.name, rule.pattern, f"User:{rule.user}", "*", rule.operation, ALLOW
            )
            answer = await admin._send_to_controller(asked)  # noqa: SLF001 - the client has no method for it
            for code, *_ in answer.creation_responses:
                if code:
                    raise for_code(code)()
    finally:
        await admin.close()


if __name__ == "__main__":
    asyncio.run(allow(Settings()))
