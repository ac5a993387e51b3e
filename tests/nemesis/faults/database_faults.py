"""Faults of PostgreSQL, and of what lies between it and everybody else."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle

import asyncpg
from asyncpg import Connection

from deploy.cli import ids
from deploy.demo.client import eventually
from deploy.local import postgres
from deploy.verify.world import SERVICES
from shared.runtime import migrations
from shared.runtime.dsn import database_of
from shared.runtime.settings import Settings
from tests.nemesis.faults.broker_faults import proxies_of
from tests.nemesis.faults.fault import DidNothing, Fault, Skipped
from tests.nemesis.pair import STANDBY, Prepared
from tests.nemesis.stack import POSTGRES
from tests.support.servers import PostgresServer

BACK_SECONDS = 60.0
FILLER, BLOCK, FULL = "filler", bytes(64 << 10), "No space left on device"
OLD_DAYS, NEW_DAYS = 70, 2
OUTBOX_DAYS = Settings(_env_file=None).outbox_days
TENDED_PAUSE_SECONDS = 0.5
TIDY_SECONDS = 30.0


class PrimaryLost(Fault):
    prepared: Prepared | None = None

    async def begin(self) -> None:
        self.stack.down |= {POSTGRES, STANDBY}
        await self.stack.pair.promote(self.prepared)
        self.stack.down.discard(POSTGRES)

    async def heal(self) -> str:
        await self.stack.pair.rejoin()
        self.stack.down.discard(STANDBY)
        return "the old primary follows the new one"


class StandbyBehind(PrimaryLost):
    """Nobody waits for this standby. It has not heard for some seconds what the primary acknowledges, and then the primary dies.

    Operators do what `docs/operations.md` asks of them: no number that was lost is given out again.
    """

    async def begin(self) -> None:
        pair = self.stack.pair
        self.tell([pair.replication], "hang")
        await asyncio.sleep(self.how["behind_seconds"])  # as much as is to be lost
        had = await pair.ask(pair.primary, "SELECT pg_current_wal_lsn()::text")
        self.bytes = await pair.ask(pair.standby, f"SELECT ('{had}'::pg_lsn - pg_last_wal_receive_lsn())::bigint")
        await super().begin()

    @staticmethod
    async def prepared(server: PostgresServer) -> None:
        for service in (*SERVICES, "gateway"):
            await ids.skip(database_of(server.dsn, service))

    async def heal(self) -> str:
        healed = await super().heal()
        if self.bytes <= 0:
            raise DidNothing("the standby had all of it")
        return f"{self.bytes} bytes of the log are lost; {healed}"


class StandbySilent(Fault):
    async def begin(self) -> None:
        self.tell([self.stack.pair.replication], "hang")

    async def heal(self) -> str:
        pair = self.stack.pair
        waiting = await pair.ask(pair.primary, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        self.tell([pair.replication], "pass_on")
        if not waiting:
            raise DidNothing("no commit waited for the standby")
        return f"{waiting} commits had waited for it"


class CommitUnknown(Fault):
    async def begin(self) -> None:
        self.before = self.stack.pair.clients.lost
        self.tell([self.stack.pair.clients], "lose_answers", self.how["every"])

    async def heal(self) -> str:
        self.tell([self.stack.pair.clients], "lose_answers", 0)
        lost = self.stack.pair.clients.lost - self.before
        if not lost:
            raise DidNothing("no answer to a COMMIT was lost")
        return f"{lost} answers to COMMIT were lost"


class Outage(Fault):
    """Work piles up: requests that wait for Kafka, or facts that wait for the database."""

    @staticmethod
    def lasts(seconds: float) -> float:
        """The environment may stretch it, to ten minutes and more."""
        return float(os.environ.get("NEMESIS_OUTAGE_SECONDS") or seconds)

    async def begin(self) -> None:
        self.tell(proxies_of(self.stack, self.how["of"]), self.how["how"])
        self.piling = asyncio.create_task(self.backlog(self.how["of"]))

    async def heal(self) -> str:
        self.tell(proxies_of(self.stack, self.how["of"]), "pass_on")
        await self.piling
        return "it is there again"


class LongReader(Fault):
    """A dump, as far as locks and snapshots go, while partitions of the outbox are made, and old ones dropped."""

    async def begin(self) -> None:
        self.tended = 0
        self.dsns = [database_of(self.stack.pair.dsn, service) for service in SERVICES]
        self.readers = [await _reader(dsn) for dsn in self.dsns]
        self.tending = asyncio.create_task(self._tend())

    async def _tend(self) -> None:
        for days in cycle((-OLD_DAYS, 0, NEW_DAYS)):
            for dsn in self.dsns:
                await migrations.tend(dsn, OUTBOX_DAYS, datetime.now(UTC) + timedelta(days=days))
                self.tended += 1
            await asyncio.sleep(TENDED_PAUSE_SECONDS)  # the next day comes when it comes

    async def heal(self) -> str:
        self.tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.tending
        for reader in self.readers:
            await reader.close()
        await eventually("outbox without old partitions", self._is_tidy, TIDY_SECONDS)
        if not self.tended:
            raise DidNothing("nothing was tended beside the reader")
        return f"tended {self.tended} times beside the reader, and tidy after it"

    async def _is_tidy(self) -> bool:
        """What could not be dropped beside the reader can be now."""
        oldest = f"outbox_{datetime.now(UTC) - timedelta(days=OUTBOX_DAYS):%Y%m%d}"
        query = f"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^outbox_' AND relname < '{oldest}'"
        left = 0
        for dsn in self.dsns:
            await migrations.tend(dsn, OUTBOX_DAYS)
            db = await asyncpg.connect(dsn)
            left += await db.fetchval(query)
            await db.close()
        return left == 0


async def _reader(dsn: str) -> Connection:
    db = await asyncpg.connect(dsn)
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    tables = await db.fetch("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'runtime')")
    for row in tables:
        await db.execute(f'LOCK TABLE ONLY "{row["schemaname"]}"."{row["tablename"]}" IN ACCESS SHARE MODE')
    await db.fetchval("SELECT count(*) FROM runtime.outbox")
    return db


@contextlib.contextmanager
def suppress_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


class DiskFull(Fault):
    """PostgreSQL may end of it; the supervisor starts it again, in vain until there is room."""

    async def begin(self) -> None:
        if self.stack.small_disk is None:
            raise Skipped("no disk can be filled here: mounting a tmpfs needs root and the right to mount")
        self.filler, self.before = self.stack.small_disk / FILLER, self._met()
        with suppress_full(), self.filler.open("wb", buffering=0) as file:
            while True:  # PostgreSQL writes too: what is left is whatever it leaves
                file.write(BLOCK)

    async def heal(self) -> str:
        self.filler.unlink()
        for server in (self.stack.pair.primary, self.stack.pair.standby):
            assert server.settings is not None, "both are ours"
            await eventually(
                "PostgreSQL", partial(asyncio.to_thread, postgres.answers, server.settings.port), BACK_SECONDS
            )
        ends = self.stack.tended[POSTGRES].ends + self.stack.tended[STANDBY].ends
        met = self._met() - self.before
        if not met:
            raise DidNothing("PostgreSQL did not meet the end of its disk")
        return f"there is room again; PostgreSQL had met the end {met} times and ended {ends} times"

    def _met(self) -> int:
        logs = [server.settings.log for server in (self.stack.pair.primary, self.stack.pair.standby) if server.settings]
        return sum(log.read_text(encoding="utf-8", errors="replace").count(FULL) for log in logs)
