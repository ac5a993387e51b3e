"""One process's end of the log, with what goes wrong there: a send of which a part arrives, and nobody knows which."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.transport import Outgoing, Partition, SendFailed
from tests.simulation.faults import Crash

SEND_FAULTS = ("nothing arrives", "a part arrives", "no answer arrives", "dies while it sends", "dies after it sent")


class FaultyWire(MemoryTransport):
    """`fault` says what goes wrong with the next send, `happened` is told when it does. `meanwhile` runs in the middle of a send."""

    def __init__(
        self, log: MemoryLog, random: Random, fault: Callable[[], str], happened: Callable[[str], None]
    ) -> None:
        super().__init__(log)
        self._random, self._fault, self._happened = random, fault, happened
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def send(self, records: Sequence[Outgoing]) -> None:
        fault = self._fault()
        arriving = self._arriving(records, fault)
        await super().send([record for record, arrives in zip(records, arriving, strict=True) if arrives])
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            await meanwhile()
        if not fault:
            return
        self._happened(fault)
        if fault.startswith("dies"):
            raise Crash
        failed = SendFailed("simulated")
        sure = arriving.index(False) if False in arriving else len(records)
        failed.confirmed = self._random.randint(0, min(sure, len(records) - 1))
        raise failed

    def _arriving(self, records: Sequence[Outgoing], fault: str) -> list[bool]:
        """A partition takes records in order, each only if it took the one before."""
        if fault in ("", "no answer arrives", "dies after it sent"):
            return [True] * len(records)
        if fault == "nothing arrives":
            return [False] * len(records)
        places: dict[Partition, list[int]] = defaultdict(list)
        for number, record in enumerate(records):
            places[self.log.partition_of(record)].append(number)
        arriving = [False] * len(records)
        for numbers in places.values():
            for number in numbers[: self._random.randint(0, len(numbers))]:
                arriving[number] = True
        return arriving
