"""Messages leave through a table: written in the transaction of their cause, sent by a relay after the commit.

A row holds the messages of one transaction in order. Unsent rows go in id order, and are marked as far as they are confirmed; after a
failure the rest goes again: a message may go twice, and never not at all. One relay a database is active, by a lease with an epoch, by
the database's clock; two owners for a moment give repeats, never loss.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import structlog
from asyncpg import Connection, Record

from shared.contracts.message import Message, Unacceptable
from shared.runtime import envelope, facts, progress
from shared.runtime.clock import Clock, NewId
from shared.runtime.database import TRANSIENT_ERRORS, Database
from shared.runtime.metrics import RELAY_ACTIVE, SEND_FAILURES, SENT
from shared.runtime.progress import STANDSTILL_SECONDS, Progress
from shared.runtime.transport import Outgoing, SendFailed, Transport

ROWS_MAX = 500
ROUND_MESSAGES_MAX, ROUND_BYTES_MAX = 1000, 4_000_000
"""What one round sends at most, and how much of the outbox it reads (as it is stored): a slow broker must get it confirmed in time."""
VALUE_MAX_BYTES = 900_000
"""What no broker takes must not get into the table: nothing behind it would ever leave."""
FINISH_SECONDS = 5.0
LEASE_SECONDS = 10.0
IDLE_SECONDS = 0.1
STANDBY_SECONDS = 1.0
HUNG_SECONDS = 120.0
"""Longer than a round takes in which everything runs into its timeout."""
FINISH_ROUNDS_MAX = 20

log = structlog.get_logger()


class Outbox:
    """Writes messages beside their cause and wakes whoever waits for commits of this process."""

    def __init__(self, service: str, clock: Clock, new_id: NewId) -> None:
        self._source = envelope.source_of(service)
        self._clock = clock
        self._new_id = new_id
        self._wakers: list[asyncio.Event] = []

    def waker(self) -> asyncio.Event:
        """An event set after each commit that may have left work."""
        waker = asyncio.Event()
        self._wakers.append(waker)
        return waker

    def committed(self) -> None:
        progress.committed()
        for waker in self._wakers:
            waker.set()

    async def write(self, db: Connection, messages: Sequence[Message], traceparent: str | None) -> None:
        if not messages:
            return
        now = self._clock.now()
        records = [envelope.write(message, self._new_id(), self._source, now, traceparent) for message in messages]
        for message, record in zip(messages, records, strict=True):
            if len(record.value) > VALUE_MAX_BYTES:
                text = f"the {type(message).__name__} it leads to has {len(record.value)} bytes, and the broker would never take it"
                raise Unacceptable("ANSWER_TOO_LARGE", text)
        await db.execute(
            "INSERT INTO runtime.outbox (records) VALUES ($1)", json.dumps([_row(record) for record in records])
        )


class Relay:
    """Sends what the outbox holds. `step` does one round and says whether there may be more."""

    def __init__(self, database: Database, transport: Transport, clock: Clock, owner: str) -> None:
        self._database = database
        self._transport = transport
        self._clock = clock
        self._owner = owner
        self._epoch = 0
        self._held_until: float | None = None
        self._begun = (0, 0)
        self.progress = Progress(clock.monotonic)

    def is_active(self) -> bool:
        return self._held_until is not None

    def unhealthy(self, possible_since: float = 0.0) -> str | None:
        """There were rows to send, or nobody knows, and for a minute nothing was settled. However old the rows are."""
        still = self.progress.still_seconds(possible_since)
        if still <= STANDSTILL_SECONDS:
            return None
        return f"the outbox stands still for {still:.0f} s: {self.progress.trouble or 'a round does not end'}"

    def broken(self, possible_since: float = 0.0) -> str | None:
        """Only what a new process may mend: what fails here would fail there as well."""
        hung = self.progress.trouble is None and self.progress.still_seconds(possible_since) > HUNG_SECONDS
        return self.unhealthy(possible_since) if hung else None

    async def run(self, woken: asyncio.Event) -> None:
        """For ever: send, or wait for a commit, a poll, or the lease of another relay to end."""
        while True:
            try:
                idle = 0.0 if await self.step() else (IDLE_SECONDS if self._held_until else STANDBY_SECONDS)
            except (SendFailed, *TRANSIENT_ERRORS) as error:
                log.warning("relay_waits", error=type(error).__name__)
                self.progress.failed(error)
                idle = 1.0
            RELAY_ACTIVE.set(self.is_active())
            if idle:
                await wait(woken, idle)

    async def step(self) -> bool:
        if not await self._hold_lease():
            self.progress.settled()
            return False
        rows = await self._unsent()
        if not rows:
            self.progress.settled()
            return False
        records, ends = self._cut(rows)
        failed: SendFailed | None = None
        try:
            await self._send(records)
            confirmed = len(records)
        except SendFailed as error:
            SEND_FAILURES.inc()
            failed, confirmed = error, error.confirmed
        if confirmed:
            ours = await self._mark(rows, ends, confirmed)
            for kind, count in Counter(
                dict(record.headers)["ce_type"] or b"" for record in records[:confirmed]
            ).items():
                SENT.labels(kind.decode()).inc(count)
            facts.published(records[:confirmed])
            if ours:
                self.progress.settled()
        if failed is not None:
            raise failed
        return len(ends) < len(rows) or rows[-1]["more"]

    async def _unsent(self) -> list[Record]:
        """The first rows; only so many as fit into a round, and one at least."""
        async with self._database.read() as db:
            return list(
                await db.fetch(
                    """
                    SELECT created_at, outbox_id, records, place = $1 OR through >= $2 AS more FROM (
                        SELECT r.*, row_number() OVER w AS place, sum(size) OVER w AS through FROM (
                            SELECT created_at, outbox_id, records, pg_column_size(records) AS size
                            FROM runtime.outbox WHERE sent_at IS NULL ORDER BY outbox_id LIMIT $1
                        ) r WINDOW w AS (ORDER BY outbox_id)
                    ) s WHERE through - size < $2 ORDER BY outbox_id
                    """,
                    ROWS_MAX,
                    ROUND_BYTES_MAX,
                )
            )

    def _cut(self, rows: Sequence[Record]) -> tuple[list[Outgoing], list[int]]:
        """The messages of this round; and for each row that ends in it, after how many of them it does.

        A row that is longer than a round takes several: `_begun` says how many of its messages were confirmed before.
        """
        records: list[Outgoing] = []
        ends: list[int] = []
        size = 0
        for row in rows:
            for record in outgoing_of(row["records"])[self._sent_before(row) :]:
                if records and (len(records) >= ROUND_MESSAGES_MAX or size + len(record.value) > ROUND_BYTES_MAX):
                    return records, ends
                records.append(record)
                size += len(record.value)
            ends.append(len(records))
        return records, ends

    def _sent_before(self, row: Record) -> int:
        return self._begun[1] if self._begun[0] == row["outbox_id"] else 0

    async def _send(self, records: Sequence[Outgoing]) -> None:
        """A broker may be slow, and the lease is short: it is renewed meanwhile."""
        sending = asyncio.ensure_future(self._transport.send(records))
        try:
            while not (await asyncio.wait([sending], timeout=LEASE_SECONDS / 3))[0]:
                with contextlib.suppress(*TRANSIENT_ERRORS):
                    await self._hold_lease()
            sending.result()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _mark(self, rows: Sequence[Record], ends: Sequence[int], confirmed: int) -> bool:
        """Rows all of whose messages are confirmed; unless another relay has taken over, which sends them again and marks them itself."""
        done = [row for row, end in zip(rows, ends, strict=False) if end <= confirmed]
        if done:
            async with self._database.transaction() as db:
                ours = await db.fetchval(
                    """
                    WITH ours AS (SELECT FROM runtime.relay WHERE owner = $3 AND epoch = $4), marked AS (
                        UPDATE runtime.outbox o SET sent_at = now()
                        FROM unnest($1::timestamptz[], $2::bigint[]) AS sent (created_at, outbox_id)
                        WHERE o.created_at = sent.created_at AND o.outbox_id = sent.outbox_id AND o.sent_at IS NULL
                            AND EXISTS (SELECT FROM ours)
                    )
                    SELECT EXISTS (SELECT FROM ours)
                    """,
                    [row["created_at"] for row in done],
                    [row["outbox_id"] for row in done],
                    self._owner,
                    self._epoch,
                )
            if not ours:
                log.warning("relay_overtaken", epoch=self._epoch)
                self._held_until = None
                return False
        if len(done) < len(rows):
            begun = rows[len(done)]
            into = confirmed - (ends[len(done) - 1] if done else 0)
            self._begun = (begun["outbox_id"], self._sent_before(begun) + into)
        return True

    async def _hold_lease(self) -> bool:
        """Renewed at half of its time. It ends by the database's clock; ours measures how long we have had it, from before we asked."""
        asked = self._clock.monotonic()
        if self._held_until is not None and asked < self._held_until - LEASE_SECONDS / 2:
            return True
        self._held_until = None
        async with self._database.transaction() as db:
            epoch = await db.fetchval(
                """
                INSERT INTO runtime.relay AS r (owner, epoch, expires_at) VALUES ($1, 1, $2::timestamptz + $3)
                ON CONFLICT (only_one) DO UPDATE SET owner = $1, expires_at = excluded.expires_at,
                    epoch = r.epoch + CASE WHEN r.owner = $1 THEN 0 ELSE 1 END
                WHERE r.owner = $1 OR r.expires_at < $2
                RETURNING epoch
                """,
                self._owner,
                await self._clock.lease_time(db),
                timedelta(seconds=LEASE_SECONDS),
            )
        if epoch is not None and epoch != self._epoch:
            log.info("relay_active", owner=self._owner, epoch=epoch, taken_over=epoch > 1)
        self._epoch = epoch or self._epoch
        self._held_until = asked + LEASE_SECONDS if epoch else None
        return epoch is not None

    async def finish(self) -> None:
        """At a graceful end: send what is left, then give the lease up, so that a standby need not wait for it to run out."""
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                for _ in range(FINISH_ROUNDS_MAX):
                    if not await self.step():
                        break
                await self._give_up_lease()
        except (SendFailed, *TRANSIENT_ERRORS) as error:
            log.warning("relay_left_rows", error=type(error).__name__)

    async def _give_up_lease(self) -> None:
        async with self._database.transaction() as db:
            await db.execute("UPDATE runtime.relay SET expires_at = 'epoch' WHERE owner = $1", self._owner)


async def wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        pass
    woken.clear()


def outgoing_of(row: str) -> list[Outgoing]:
    """The messages of one outbox row, in order."""
    return [_outgoing(record) for record in json.loads(row)]


def _row(record: Outgoing) -> dict[str, object]:
    headers = {name: (value or b"").decode() for name, value in record.headers}
    return {"topic": record.topic, "key": record.key.decode(), "value": record.value.decode(), "headers": headers}


def _outgoing(row: dict[str, object]) -> Outgoing:
    headers = row["headers"]
    assert isinstance(headers, dict)
    return Outgoing(
        topic=str(row["topic"]),
        key=str(row["key"]).encode(),
        value=str(row["value"]).encode(),
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )
