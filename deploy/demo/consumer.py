"""What a downstream finance team writes: every issued invoice once, whatever is redelivered. `python -m deploy.demo.consumer`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer

from deploy.demo.kafka_login import OPEN, kafka_login


async def issued_invoices(
    bootstrap: str, group: str | None, security: Mapping[str, Any] = OPEN
) -> AsyncIterator[dict[str, Any]]:
    """Without a group everything from the start, and nothing is remembered. `security`: TLS and login, as the client takes them."""
    consumer = AIOKafkaConsumer(
        "invoicing.events", bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", **security
    )
    seen: set[tuple[bytes, bytes]] = set()  # a real one keeps this beside its books, in the same transaction
    async with consumer:
        async for record in consumer:
            headers = dict(record.headers)
            event = (headers["ce_source"], headers["ce_id"])
            if headers["ce_type"] == b"InvoiceIssued" and event not in seen:
                seen.add(event)
                yield json.loads(record.value)


async def main() -> None:
    async for invoice in issued_invoices(os.environ["KAFKA_BOOTSTRAP"], "finance-example", kafka_login("FINANCE_")):
        print(invoice["number"], invoice["legal_entity"], invoice["gross_fen"])


if __name__ == "__main__":
    asyncio.run(main())
