"""What operators and programmers do: ship bugs and mend them, look at parked records, run them again, dismiss them."""

from functools import partial

from shared.runtime import parked
from shared.runtime.handling import EXHAUSTED
from shared.runtime.parked import Parked
from shared.runtime.transport import Outgoing, Partition
from tests.simulation.faults import ALL, KINDS
from tests.simulation.processes import Processes
from tests.simulation.scene import Scene
from tests.support.stage import Process

HOW = ("raises", "raises", "dies", "refuses", "refuses oddly", "says too much", *KINDS)
BUGS_MAX = 2
OURS = ("ledger.commands", "ledger.events", "invoicing.events", "title.events")
ROUNDS_MAX = 8
BY = "operator"
NO_ATTEMPT = [
    *(error.__name__ for fault in ("transient error", "system fault", "answer lost") for error in ALL[fault]),
    *(error.__name__ for error in KINDS.values()),
]
"""Errors that count against no record."""


class Operators:
    def __init__(self, scene: Scene, processes: Processes) -> None:
        self.scene, self.processes = scene, processes
        self.random, self.stage, self.bugs = scene.random, scene.stage, scene.bugs
        self.forged: set[tuple[Partition, int]] = set()
        """Places of records that none of our services wrote."""
        self.impersonated: set[str] = set()
        """Ids of events of which there is a forged copy with other content. If the real one was parked, the copy takes effect first."""

    async def ship_bug(self) -> None:
        """In a handler of what comes next, or in what a worker does."""
        if self.scene.rate == 0 or len(self.bugs.live) >= BUGS_MAX:
            return
        waiting = [(process, *place) for process in self.processes.all for place in process.has_mail()]
        if waiting and self.random.random() < 0.7:
            process, subscription, part = self.random.choice(waiting)
            record = self.stage.log.records[part][subscription.position[part]]
            what = (dict(record.headers).get("ce_type") or b"").decode(errors="replace")
        else:
            process = self.processes.any()
            what = self.random.choice([worker.name for worker in process.service.workers] or [""])
        how = self.random.choice(HOW)
        self.bugs.live[process.service.name, what] = how
        self.scene.note("bug", process.service.name, what, how)

    async def mend(self) -> None:
        if self.bugs.live:
            place = self.random.choice(sorted(self.bugs.live))
            del self.bugs.live[place]
            self.scene.note("mended", place)

    async def forge(self) -> None:
        """Somebody writes to a topic of ours: a copy of a record under another name, with another type, or with other content."""
        topic = self.random.choice(OURS)
        records = [record for part in self.stage.log.of_topic(topic) for record in self.stage.log.records[part]]
        if not records:
            return
        real = self.random.choice(records)
        headers = dict(real.headers)
        how = self.random.choice(("source", "type", "content"))
        value = real.value or b""
        if how == "source":
            headers["ce_source"] = b"/somebody"
        elif how == "type":
            headers["ce_type"] = b"WrittenByALaterVersion"
        else:
            value = value.replace(b'"account_id":', b'"account_id":1', 1)
            self.impersonated.add((headers["ce_id"] or b"").decode())
        record = self.stage.log.append(Outgoing(topic, real.key or b"", value, tuple(headers.items())))
        self.forged.add((record.partition, record.offset))
        self.scene.happened("record forged")
        self.scene.note(how, record.partition, record.offset)

    async def look(self) -> None:
        """At the parked records of a service; and decide about one of them."""
        process = self.processes.any()
        rows = await self._open(process)
        if not rows:
            return
        row = self.random.choice(rows)
        async with process.database.read() as db:
            shown = await parked.parked_record(db, row.parked_id, process.runtime.parking)
        assert shown is not None
        work = (
            partial(self._dismiss, process, row.parked_id)
            if self._is_forged(row)
            else partial(self._redrive, process, row)
        )
        await self.processes.attempt(process, "redrive", work)

    async def _open(self, process: Process) -> list[Parked]:
        async with process.database.read() as db:
            return await parked.parked_records(db, "open")

    def _is_forged(self, row: Parked) -> bool:
        """Or can take effect no more, because its forged copy did."""
        conflicts = row.reason == "CONTENT_CONFLICT" and row.event_id in self.impersonated
        return conflicts or (Partition(row.topic, row.partition), row.offset) in self.forged

    async def _redrive(self, process: Process, row: Parked) -> None:
        try:
            status = await self._redriven(process, row.parked_id)
        except LookupError:  # somebody else was quicker, or our own answer was lost
            status = "dismissed"
        self.scene.note("redrive", process.service.name, row.parked_id, row.reason, status)

    @staticmethod
    async def _redriven(process: Process, parked_id: int) -> str:
        runtime = process.runtime
        return await parked.redrive(process.database, runtime.consumers, parked_id, BY, process.clock, runtime.parking)

    async def _dismiss(self, process: Process, parked_id: int) -> None:
        try:
            await parked.dismiss(process.database, parked_id, BY, "not ours", process.clock)
        except LookupError:
            self.scene.note("was not open")
        self.scene.note("dismiss", process.service.name, parked_id)

    async def lost(self) -> None:
        """A number that nobody has: said, and nothing else happens."""
        process = self.processes.any()
        try:
            await self._redriven(process, 10**9)
        except LookupError:
            self.scene.note("nobody has it")
        await self._dismiss(process, 10**9)
        async with process.database.read() as db:
            assert await parked.parked_record(db, 10**9, process.runtime.parking) is None

    async def ask_how_it_is(self) -> None:
        """As whoever watches a process does: of everything that may stand still, and of the log."""
        process = self.processes.any()
        relay, runners, transport = process.runtime.relay, process.runtime.runners, process.transport
        told = [watched.unhealthy() or watched.broken() for watched in (relay, *runners, transport)]
        read = [(one.unhealthy(), sorted(one.repeats().values())) for one in process.runtime.consumers.values()]
        lag = [self.stage.log.lag(sub.group, sub.topics) for sub in transport.subscriptions]
        assert await transport.reachable()
        assert transport.assigned()
        self.scene.note(
            "is", process.service.name, process.replica, relay.is_active(), told, read, lag, transport.lag()
        )

    # at the end

    def mend_all(self) -> None:
        self.bugs.live.clear()

    async def clear(self) -> None:
        """Everything that can take effect now is run again, in the order in which it was parked; what nobody of us wrote is dismissed.

        What was parked for an error that passes, or that is the system's own, stays open: it should never have been.
        """
        before = await self._left()
        for _ in range(ROUNDS_MAX):
            if not before:
                return
            for name, row in before:
                await self._decided(self.stage.processes[name], row)
            await self.stage.settle()
            left = await self._left()
            if [row.parked_id for _, row in left] == [row.parked_id for _, row in before]:
                return
            before = left

    async def _decided(self, process: Process, row: Parked) -> None:
        if self._is_forged(row):
            await self._dismiss(process, row.parked_id)
        elif row.reason != EXHAUSTED or not any(name in row.text for name in NO_ATTEMPT):
            await self._redrive(process, row)

    async def _left(self) -> list[tuple[str, Parked]]:
        return [
            (name, row) for name in sorted(self.stage.processes) for row in await self._open(self.stage.processes[name])
        ]
