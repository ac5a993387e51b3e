"""What an upstream team writes: CloudEvents from a file to a topic, keyed by account. `python -m deploy.demo.producer FILE TOPIC`."""

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.demo.kafka_login import OPEN, kafka_login


async def publish(bootstrap: str, topic: str, lines: Iterable[str], security: Mapping[str, Any] = OPEN) -> None:
    """`security`: TLS and login, as the client takes them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, **security)
    async with producer:
        for line in lines:
            headers = [("content-type", b"application/cloudevents+json")]
            await producer.send(topic, line.encode(), key=key_of(line), headers=headers)
        await producer.flush()


def key_of(line: str) -> bytes:
    try:
        return str(json.loads(line)["data"]["account_id"]).encode()
    except (ValueError, KeyError):
        return b"unknown"  # even a broken event has to go somewhere


if __name__ == "__main__":
    events = Path(sys.argv[1]).read_text("utf-8").splitlines()
    asyncio.run(publish(os.environ["KAFKA_BOOTSTRAP"], sys.argv[2], events, kafka_login()))
