"""The ledger as a process that can be cut off at any statement of any transaction, and on either side of its commit.

`Cut` counts these places.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from asyncpg import Connection

from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from shared.contracts.ledger import BalanceReserved
from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.runtime.database import Database
from shared.runtime.envelope import source_of
from shared.runtime.outbox import outgoing_of
from tests.support.ledger import MARCH_20
from tests.support.stage import Process, Stage

STATEMENTS = {"execute", "executemany", "fetch", "fetchrow", "fetchval"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Cut:
    """Counts places, and at one of them ends the connection's backend, or the process."""

    def __init__(self) -> None:
        self.seen = 0
        self.at: int | None = None
        self.kind = ""

    def arm(self, kind: str, at: int) -> None:
        self.seen, self.kind, self.at = 0, kind, at

    def disarm(self) -> bool:
        """Whether it was cut."""
        cut, self.at = self.at is None, None
        return cut

    def due(self) -> bool:
        self.seen += 1
        if self.at != self.seen:
            return False
        self.at = None
        return True


class Counted:
    """A connection whose statements are places."""

    def __init__(self, db: Connection, reached: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._reached = reached

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a connection has
        found = getattr(self._db, name)
        if name not in STATEMENTS:
            return found

        async def statement(*arguments: object, **options: object) -> object:
            await self._reached()
            return await found(*arguments, **options)

        return statement


class CutDatabase(Database):
    """Each statement of a transaction is a place, and so are the moments before and after its commit."""

    cut: Cut
    owner: "asyncpg.Connection[asyncpg.Record]"

    @asynccontextmanager
    async def transaction(
        self, traceparent: str | None = None, account_id: int | None = None
    ) -> AsyncIterator[Connection]:
        async with super().transaction(traceparent, account_id) as db:
            pid = db.get_server_pid()

            async def reached() -> None:
                if self.cut.due():
                    if self.cut.kind == "process":
                        raise Killed
                    assert await self.owner.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)

            yield cast("Connection", Counted(db, reached))
            await reached()
        if self.cut.due():
            raise Killed if self.cut.kind == "process" else ConnectionResetError("the commit's answer was lost")


@dataclass
class Stand:
    """The ledger as a process on a log in memory, which starts again when it was killed."""

    stage: Stage
    process: Process
    cut: Cut

    @property
    def database(self) -> Database:
        return self.process.database

    async def say(self, *messages: Message) -> None:
        """They arrive together and are worked off, by whoever has to do it again."""
        for message in messages:
            self.stage.publish(message, source=_source(message))
        while mail := self.process.has_mail():
            for subscription, partition in mail:
                await self._surviving(self.process.transport.deliver(subscription, partition, 200))

    async def work(self) -> None:
        """The workers of large reservations, until there is nothing left to do."""
        for name in ("hold", "allocate", "answer", "book"):
            while await self._surviving(self.step(name)) is not False:
                pass

    async def step(self, name: str) -> bool:
        (runner,) = [runner for runner in self.process.runtime.runners if runner.worker.name == name]
        try:
            return await runner.step()
        except Exception:  # noqa: BLE001 - as the runner's loop does: whatever it is, the row comes again
            return True

    async def _surviving(self, work: Awaitable[object]) -> object:
        try:
            return await work
        except Killed:
            await self.process.start()
            return None

    async def reserved(self, account_id: int, request_id: int = 1) -> BalanceReserved:
        async with self.database.read() as db:
            query = "SELECT answer FROM reservation WHERE account_id = $1 AND request_id = $2"
            return BalanceReserved.model_validate_json(await db.fetchval(query, account_id, request_id))

    # what came of it

    async def outcome(self, account_id: int) -> dict[str, Any]:
        """All that an account's story left behind, without what is different for each account."""
        queries = {
            "items": "SELECT number, line, settled_fen, refunded_fen, invoiceable_fen, reserved_fen, invoiced_fen, offset_fen FROM item",
            "moves": """SELECT i.number, m.from_bucket, m.to_bucket, m.amount_fen, m.cause FROM move m JOIN item i
                USING (account_id, item_id)""",
            "refunds": "SELECT number, line, cash_fen, item_id IS NULL FROM refund",
            "usage": "SELECT number, line, cash_fen FROM usage_record",
            "reservations": "SELECT request_id, answer_type FROM reservation",
            "allocations": "SELECT rank() OVER (ORDER BY reservation_id, place), group_no, reserved_fen, invoiced_fen, released_fen"
            " FROM allocation",
            "offsets": "SELECT place, to_number, amount_fen, undone FROM reservation_offset",
            "parts": "SELECT part_id, state FROM part_booking",
            "work": "SELECT request_id FROM (SELECT * FROM reservation WHERE answer IS NULL) r",
            "booking tasks": "SELECT wanted FROM booking_task",
        }
        async with self.database.read() as db:
            found: dict[str, Any] = {
                name: sorted(
                    tuple(row) for row in await db.fetch(f"SELECT * FROM ({query} WHERE account_id = $1) q", account_id)
                )
                for name, query in queries.items()
            }
            found["balance"] = [balance(one) for one in await pages.sums(db, account_id, MARCH_20)]
            found["cash"] = await pages.cash_fen(db, account_id)
            sent = [
                one
                for (row,) in await db.fetch("SELECT records FROM runtime.outbox ORDER BY outbox_id")
                for one in outgoing_of(row)
            ]
        found["said"] = [dict(one.headers)["ce_type"] for one in sent if one.key == str(account_id).encode()]
        return found


def _source(message: Message) -> str:
    owner = TOPICS[message.topic].owner
    return "/upstream/billing" if owner == "upstream" else source_of(owner)
