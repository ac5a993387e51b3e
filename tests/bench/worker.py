"""A process of the ledger for measurements: all of `shared.runtime.main` but HTTP, and it reads no bill before it is told to on its
standard input. Each assignment is reported on its standard output; it ends when its input does.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence

import uvloop

from shared.runtime import heap, logs, tracing
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.kafka import KafkaTransport
from shared.runtime.roles import Roles
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.transport import Assigned, OnAssigned, OnBatch, Partition
from tests.bench.stand import SERVICE

TOPIC = "billing.events"


class Gated(KafkaTransport):
    """Waits at a gate with its partitions, so that the clock starts when reading does."""

    gate: asyncio.Event

    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        async def wait_at_the_gate(assigned: Sequence[Assigned]) -> Mapping[Partition, int]:
            starts = await on_assigned(assigned)
            if TOPIC in topics:
                sys.stdout.write(f"{len(assigned)}\n")
                sys.stdout.flush()
                await self.gate.wait()
            return starts

        super().consume(group, topics, on_batch, wait_at_the_gate)


async def work(dsn: str, roles: Roles, bootstrap: str, replica: str) -> None:
    settings, clock = Settings(kafka_bootstrap=bootstrap, replica=replica), Clock()
    logs.configure(SERVICE.name, replica, "ERROR")
    tracing.configure(SERVICE.name, replica, "")
    transport = Gated(settings, SERVICE.name, clock)
    transport.gate = asyncio.Event()
    database = await Database.open(dsn, roles, settings.pools)
    runtime = Runtime(SERVICE, database, transport, clock, uuid7, replica)
    await runtime.start()
    heap.freeze()
    await asyncio.to_thread(sys.stdin.readline)
    transport.gate.set()
    await asyncio.to_thread(sys.stdin.read)
    await runtime.stop()


if __name__ == "__main__":
    dsn, may_work, may_serve, bootstrap, replica = sys.argv[1:]
    uvloop.run(work(dsn, Roles(may_work, may_serve), bootstrap, replica))
