"""A log in memory behind the wire port: partitions, keys, groups, committed offsets, redelivery. Nothing happens by itself: whoever
holds the log says which consumer gets its next records, so that a simulation can order, repeat and lose deliveries at will.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from shared.runtime.transport import Assigned, NotDone, OnAssigned, OnBatch, Outgoing, Partition, Record


class MemoryLog:
    """The cluster: outlives the processes that write to it and read from it."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.records: dict[Partition, list[Record]] = defaultdict(list)
        self.committed: dict[tuple[str, Partition], int] = {}

    def of_topic(self, topic: str) -> list[Partition]:
        return [Partition(topic, number) for number in range(self.partitions)]

    def partition_of(self, outgoing: Outgoing) -> Partition:
        number = int.from_bytes(hashlib.blake2b(outgoing.key, digest_size=4).digest()) % self.partitions
        return Partition(outgoing.topic, number)

    def append(self, outgoing: Outgoing) -> Record:
        partition = self.partition_of(outgoing)
        record = Record(partition, len(self.records[partition]), outgoing.key, outgoing.value, outgoing.headers)
        self.records[partition].append(record)
        return record

    def lag(self, group: str, topics: Sequence[str]) -> int:
        return sum(
            len(self.records[partition]) - self.committed.get((group, partition), 0)
            for topic in topics
            for partition in self.of_topic(topic)
        )


@dataclass
class Subscription:
    """One consumer of one process: which group, and where in each partition it stands."""

    group: str
    topics: tuple[str, ...]
    on_batch: OnBatch
    on_assigned: OnAssigned
    position: dict[Partition, int] = field(default_factory=dict)


class MemoryTransport:
    """One process's end of the log."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.subscriptions: list[Subscription] = []
        self._started = False

    def consume(self, group: str, topics: Sequence[str], on_batch: OnBatch, on_assigned: OnAssigned) -> None:
        self.subscriptions.append(Subscription(group, tuple(topics), on_batch, on_assigned))

    async def start(self) -> None:
        for subscription in self.subscriptions:
            await self.assign(subscription)
        self._started = True

    async def stop_consuming(self) -> None:
        self._started = False

    async def stop(self) -> None:
        pass

    async def assign(self, subscription: Subscription, partitions: Collection[Partition] | None = None) -> None:
        """Give a consumer these partitions of its topics, as after a rebalance, or all of them. What it has read is fetched anew."""
        subscription.position = {}
        if partitions is None:
            partitions = [partition for topic in subscription.topics for partition in self.log.of_topic(topic)]
        told = [
            Assigned(part, self.log.committed.get((subscription.group, part)), len(self.log.records[part]))
            for part in partitions
        ]
        seeks = await subscription.on_assigned(told)
        subscription.position = {one.partition: seeks.get(one.partition, one.committed or 0) for one in told}

    async def deliver(self, subscription: Subscription, partition: Partition, records_max: int) -> int:
        """Hand over the next records of one partition and commit when the handler returns. Returns how many there were."""
        start = subscription.position[partition]
        records = self.log.records[partition][start : start + records_max]
        if not records:
            return 0
        try:
            await subscription.on_batch(records)
        except NotDone:
            return len(records)
        subscription.position[partition] = start + len(records)
        self.log.committed[subscription.group, partition] = start + len(records)
        return len(records)

    async def send(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            self.log.append(record)

    async def reachable(self) -> bool:
        return True

    def unhealthy(self, possible_since: float = 0.0) -> str | None:  # noqa: ARG002
        return None

    def broken(self, possible_since: float = 0.0) -> str | None:  # noqa: ARG002
        return None

    def lag(self) -> Mapping[tuple[str, str], int]:
        return {}

    def assigned(self) -> bool:
        return self._started
