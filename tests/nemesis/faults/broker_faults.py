"""Faults of Kafka: links between brokers, and brokers themselves."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from deploy.demo.client import eventually
from deploy.verify.world import TOPICS
from tests.nemesis.faults.fault import Fault
from tests.nemesis.proxy import Proxy
from tests.nemesis.stack import NemesisStack

TAKES_PART_SECONDS = 90.0
IN_SYNC_MIN = 2


class Apart(Fault):
    async def begin(self) -> None:
        self.tell(self.stack.brokers.between(*self.how["pair"]), self.how["how"])

    async def heal(self) -> str:
        self.tell(self.stack.brokers.between(*self.how["pair"]), "pass_on")
        return "they reach each other"


class Killed(Fault):
    async def begin(self) -> None:
        kill(self, self.how["broker"])

    async def heal(self) -> str:
        return await started(self, self.how["broker"])


class BelowMinimum(Fault):
    """Two brokers dead; or nobody copies from them, or they from others: so a leader is alone, and may confirm nothing."""

    async def begin(self) -> None:
        if self.how["how"] == "kill":
            kill(self, *self.how["brokers"])
        else:
            self.tell(self.stack.brokers.copying(self.how["brokers"]), self.how["how"])

    async def heal(self) -> str:
        if self.how["how"] == "kill":
            return await started(self, *self.how["brokers"])
        alone = await self._partitions_below()
        self.tell(self.stack.brokers.copying(self.how["brokers"]), "pass_on")
        return f"they copy again; {alone} partitions had been below their minimum"

    async def _partitions_below(self) -> int:
        """As the controllers say, who are not cut off. How many there are depends on what was written meanwhile."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.brokers.bootstrap)
        await admin.start()
        try:
            described = await admin.describe_topics(list(TOPICS))
        finally:
            await admin.close()
        return sum(len(part["isr"]) < IN_SYNC_MIN for topic in described for part in topic["partitions"])


class Slow(Fault):
    async def begin(self) -> None:
        self.tell(self._proxies(), "slow", self.how["by_ms"] / 1000)

    async def heal(self) -> str:
        self.tell(self._proxies(), "pass_on")
        return "as fast as before"

    def _proxies(self) -> list[Proxy]:
        return proxies_of(self.stack, self.how["of"])


def proxies_of(stack: NemesisStack, what: str) -> list[Proxy]:
    """All that stands between clients and Kafka, or the database."""
    return [stack.pair.clients] if what == "database" else list(stack.brokers.clients.values())


def kill(fault: Fault, *numbers: int) -> None:
    fault.stack.down |= {f"kafka-{number}" for number in numbers}
    for number in numbers:
        fault.stack.brokers.kill_node(number)


async def started(fault: Fault, *numbers: int) -> str:
    """All see each other again. That is the fault's end, for until then the cluster is not whole."""
    for number in numbers:
        fault.stack.brokers.launch(number)
    fault.stack.down -= {f"kafka-{number}" for number in numbers}
    await eventually("whole cluster", lambda: asyncio.to_thread(fault.stack.brokers.take_part), TAKES_PART_SECONDS)
    return "all take part"
