"""Messages leave through a table: written in the transaction of their cause, sent by a relay after the commit.

A row holds the messages of one transaction in order. Unsent rows go in id order and are marked after every confirmation; any
failure starts again from the first unsent: a message may go twice, and never not at all. One relay a database is active, by a lease
with an epoch; two owners for a moment give repeats, never loss.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from asyncpg import Connection

from shared.contracts.message import Message, Unacceptable
from shared.runtime import envelope, facts
from shared.runtime.clock import Clock, NewId
from shared.runtime.database import TRANSIENT_ERRORS, Database
from shared.runtime.metrics import SEND_FAILURES, SENT
from shared.runtime.transport import Outgoing, SendFailed, Transport

ROWS_MAX = 500
VALUE_MAX_BYTES = 900_000
"""What no broker takes must not get into the table: nothing behind it would ever leave."""
FINISH_SECONDS = 5.0
LEASE_SECONDS = 10.0
IDLE_SECONDS = 0.1
STANDBY_SECONDS = 1.0
RETENTION_DAYS = 60
DAYS_AHEAD = 7
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
        self._held_until: datetime | None = None
        self._epoch = 0
        self._in_transient_error = False

    def is_active(self) -> bool:
        return self._held_until is not None

    def in_transient_error(self) -> bool:
        """Whether the last round failed because the broker or the database was away."""
        return self._in_transient_error

    async def run(self, woken: asyncio.Event) -> None:
        """For ever: send, or wait for a commit, a poll, or the lease of another relay to end."""
        while True:
            try:
                idle = 0.0 if await self.step() else (IDLE_SECONDS if self._held_until else STANDBY_SECONDS)
                self._in_transient_error = False
            except (SendFailed, *TRANSIENT_ERRORS) as error:
                log.warning("relay_waits", error=type(error).__name__)
                idle, self._in_transient_error = 1.0, True
            if idle:
                await wait(woken, idle)

    async def step(self) -> bool:
        if not await self._hold_lease():
            return False
        async with self._database.read() as db:
            rows = await db.fetch(
                "SELECT created_at, outbox_id, records FROM runtime.outbox WHERE sent_at IS NULL ORDER BY outbox_id LIMIT $1",
                ROWS_MAX,
            )
        if not rows:
            return False
        records = [record for row in rows for record in outgoing_of(row["records"])]
        try:
            await self._transport.send(records)
        except SendFailed:
            SEND_FAILURES.inc()
            raise
        async with self._database.transaction() as db:
            await db.execute(
                """
                UPDATE runtime.outbox o SET sent_at = now()
                FROM unnest($1::timestamptz[], $2::bigint[]) AS sent (created_at, outbox_id)
                WHERE o.created_at = sent.created_at AND o.outbox_id = sent.outbox_id AND o.sent_at IS NULL
                """,
                [row["created_at"] for row in rows],
                [row["outbox_id"] for row in rows],
            )
        for kind, count in Counter(dict(record.headers)["ce_type"] or b"" for record in records).items():
            SENT.labels(kind.decode()).inc(count)
        facts.published(records)
        return len(rows) == ROWS_MAX

    async def _hold_lease(self) -> bool:
        """Renewed at half of its time; a relay that could not renew stops before the lease ends."""
        now = self._clock.real()
        if self._held_until is not None and now < self._held_until - timedelta(seconds=LEASE_SECONDS / 2):
            return True
        self._held_until = None
        until = now + timedelta(seconds=LEASE_SECONDS)
        async with self._database.transaction() as db:
            held = await db.fetchval(
                """
                INSERT INTO runtime.relay AS r (owner, epoch, expires_at) VALUES ($1, 1, $3)
                ON CONFLICT (only_one) DO UPDATE SET owner = $1, expires_at = $3,
                    epoch = r.epoch + CASE WHEN r.owner = $1 THEN 0 ELSE 1 END
                WHERE r.owner = $1 OR r.expires_at < $2
                RETURNING epoch
                """,
                self._owner,
                now,
                until,
            )
        self._held_until = until if held else None
        if held and held != self._epoch:
            self._epoch = held
            log.info("relay_active", owner=self._owner, epoch=held, taken_over=held > 1)
        return held is not None

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


async def tend_partitions(db: Connection, today: datetime) -> None:
    """Day partitions some days ahead, and none older than the retention unless something in it was never sent. Owner's rights."""
    for day in (today.date() + timedelta(days=ahead) for ahead in range(-1, DAYS_AHEAD)):
        await db.execute(
            f"CREATE TABLE IF NOT EXISTS runtime.outbox_{day:%Y%m%d} PARTITION OF runtime.outbox "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
        )
    oldest = f"outbox_{today.date() - timedelta(days=RETENTION_DAYS):%Y%m%d}"
    names = await db.fetch(
        r"""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'runtime'::regnamespace AND relname ~ '^outbox_\d{8}$' AND relname < $1 ORDER BY 1
        """,
        oldest,
    )
    for (name,) in names:
        if not await db.fetchval(f"SELECT EXISTS (SELECT FROM runtime.{name} WHERE sent_at IS NULL)"):
            await db.execute(f"DROP TABLE runtime.{name}")


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
