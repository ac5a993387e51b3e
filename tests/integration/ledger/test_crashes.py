"""A crash at every statement of every transaction, and on both sides of its commit, changes nothing of what comes out.

Each story is told once without a crash and then once for each place where it can be cut off, on an account of its own; then
whoever would do it again does. `Cut` counts the places.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest
from asyncpg import Connection

from services.ledger.app import build
from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import Line, OrderPaid, UsageRecorded
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, PartFact
from shared.contracts.ledger import BalanceReserved, OffsetDeficit, ReleaseReservation
from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.runtime.database import Database
from shared.runtime.envelope import source_of
from shared.runtime.outbox import outgoing_of
from tests.integration.ledger.checking import holds
from tests.support.databases import Databases
from tests.support.examples import MARCH_10, a_refund, an_ask, an_order
from tests.support.ledger import MARCH_20, a_part, few_at_once
from tests.support.stage import Process, Stage
from tests.support.world import SETTINGS

pytestmark = pytest.mark.database

STATEMENTS = {"execute", "executemany", "fetch", "fetchrow", "fetchval"}
LATER = {b"BalanceChanged", b"DeficitOpened", b"DeficitClosed"}
"""Said of changes by a worker, if at all: not the business of these stories."""
PLACES_MIN = 8
"""Two transactions at least, of which each has a statement and two ends."""


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
            "held": "SELECT rank() OVER (ORDER BY reservation_id, place), group_no, reserved_fen, invoiced_fen, released_fen"
            " FROM allocation",
            "offsets": "SELECT place, to_number, amount_fen, undone FROM reservation_offset",
            "parts": "SELECT part_id, state FROM part_booking",
            "work": "SELECT request_id FROM (SELECT * FROM reservation WHERE answer IS NULL) r",
            "orders": "SELECT wanted FROM booking_task",
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


@pytest.fixture
async def stand(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    few_at_once(monkeypatch)
    stage = Stage(MARCH_20)
    process = await stage.add(build(SETTINGS), databases, CutDatabase)
    database = process.database
    assert isinstance(database, CutDatabase)
    database.cut = Cut()
    database.owner = await asyncpg.connect(database.dsn)
    yield Stand(stage, process, database.cut)
    await database.owner.close()
    await stage.close()


BEFORE = ["BalanceReserved", "AmountInvoiced"]
"""What is said until an account has a deficit."""


# the stories: each yields once, and what comes after that is cut off


async def an_account_with_a_deficit(stand: Stand, account_id: int) -> None:
    """One order was invoiced and refunded by 20; three more are free."""
    await stand.say(an_order("D", 1000, account_id, at=MARCH_10 - timedelta(days=1)))
    await stand.say(an_ask("D", request_id=1000, account_id=account_id))
    await stand.say(await the_part(stand, account_id, "issued", request_id=1000))
    await stand.say(a_refund("FD", "D", 20, account_id), *orders(account_id, 3))


def orders(account_id: int, count: int) -> list[OrderPaid]:
    return [an_order(f"O{n}", 100, account_id, at=MARCH_10 + timedelta(minutes=n)) for n in range(count)]


async def the_part(stand: Stand, account_id: int, state: str, request_id: int = 1) -> PartFact:
    """All of the reservation in one part."""
    part = a_part(await stand.reserved(account_id, request_id), request_id).model_copy(
        update={"account_id": account_id}
    )
    more = {"reason": "X", "red_number": "1" * 20, "credited_at": MARCH_20}
    kinds: dict[str, type[PartFact]] = {"issued": InvoiceIssued, "failed": InvoiceFailed, "credited": InvoiceCredited}
    kind = kinds[state]
    return kind.model_validate(
        {name: value for name, value in (part.model_dump() | more).items() if name in kind.model_fields}
    )


async def billing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """An order and its refund, an order whose refund came before, a refund of what is held, usage, and one of them twice."""
    usage = (Line(subject="ALIYUN_SERVICE", cash_fen=5),)
    await stand.say(*orders(account_id, 1), a_refund("F2", "O2", 30, account_id))
    await stand.say(an_ask("O0", request_id=1, account_id=account_id))
    yield
    await stand.say(
        *orders(account_id, 3),
        a_refund("F0", "O0", 20, account_id),
        a_refund("F1", "O1", 10, account_id),
        UsageRecorded(account_id=account_id, number="U", occurred_at=MARCH_10, lines=usage),
    )


async def reserving(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    yield
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))


async def refusing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    yield
    await stand.say(an_ask("O0", "O1", request_id=1, account_id=account_id, amount_fen=250))


async def releasing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(ReleaseReservation(account_id=account_id, request_id=1))


async def issuing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(await the_part(stand, account_id, "issued"))


async def failing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(await the_part(stand, account_id, "failed"))


async def issuing_late(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))
    await stand.say(await the_part(stand, account_id, "failed"))
    yield
    await stand.say(await the_part(stand, account_id, "issued"))


async def crediting(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(an_ask(request_id=1, account_id=account_id, amount_fen=250))
    await stand.say(await the_part(stand, account_id, "issued"))
    yield
    await stand.say(await the_part(stand, account_id, "credited"))


async def paying_a_deficit(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    yield
    ask = OffsetDeficit(account_id=account_id, request_id=1, accounts=(account_id,), subject="ALIYUN_SERVICE")
    await stand.say(ask)


async def topping_up(stand: Stand, account_id: int) -> AsyncIterator[None]:
    yield
    await stand.say(CashToppedUp(account_id=account_id, occurred_at=MARCH_10, number="T", cash_fen=500))


async def allocating(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """From the ask to the answer, with a deficit that is paid first."""
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(*orders(account_id, 4))
    yield
    await stand.say(an_ask(request_id=1, account_id=account_id))
    await stand.work()


async def failing_to_allocate(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """Of what is promised something is refunded before it is taken."""
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(*orders(account_id, 4), an_ask(request_id=1, account_id=account_id))
    await stand.step("hold")
    await stand.step("allocate")
    await stand.say(a_refund("F3", "O3", 30, account_id))
    yield
    await stand.work()


async def booking(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """A large one is released, in steps."""
    await stand.say(*orders(account_id, 4), an_ask(request_id=1, account_id=account_id))
    await stand.work()
    yield
    await stand.say(ReleaseReservation(account_id=account_id, request_id=1))
    await stand.work()


Story = Callable[[Stand, int], AsyncIterator[None]]
STORIES: dict[Story, list[str]] = {
    billing: ["BalanceReserved", "ReservationImpaired"],
    reserving: [*BEFORE, "BalanceReserved"],
    refusing: [*BEFORE, "ReservationRefused"],
    releasing: [*BEFORE, "BalanceReserved", "ReservationReleased"],
    issuing: [*BEFORE, "BalanceReserved", "AmountInvoiced"],
    failing: [*BEFORE, "BalanceReserved"],
    issuing_late: [*BEFORE, "BalanceReserved", "AmountInvoiced"],
    crediting: [*BEFORE, "BalanceReserved", "AmountInvoiced", "AmountCredited"],
    paying_a_deficit: [*BEFORE, "BalanceReserved"],
    topping_up: [],
    allocating: [*BEFORE, "BalanceReserved"],
    failing_to_allocate: [*BEFORE, "ReservationRefused"],
    booking: ["BalanceReserved", "ReservationReleased"],
}
"""And what is said in each of them, once."""


async def told(stand: Stand, story: Story, account_id: int, kind: str = "", place: int = 0) -> bool:
    """Whether it was cut off."""
    telling = story(stand, account_id)
    await anext(telling)
    stand.cut.arm(kind, place)
    async for _ in telling:
        raise AssertionError("a story has two parts")
    return stand.cut.disarm()


@pytest.mark.parametrize(
    ("story", "kind"),
    [
        *((story, "process") for story in STORIES),
        *((story, "connection") for story in (billing, reserving, allocating, booking)),
    ],
)
async def test_a_crash_anywhere_changes_nothing(stand: Stand, story: Story, kind: str) -> None:
    await told(stand, story, account_id=1)
    expected, places = await stand.outcome(1), 0
    while await told(stand, story, places + 2, kind, places + 1):
        places += 1
        assert await stand.outcome(places + 1) == expected, f"cut at place {places}"
    assert places >= PLACES_MIN
    assert expected["work"] == expected["orders"] == []
    assert [one.decode() for one in expected["said"] if one not in LATER] == STORIES[story]
    await holds(stand.database)
    async with stand.database.read() as db:
        assert await db.fetchval("SELECT count(*) FROM runtime.parked") == 0
        assert await db.fetchval("SELECT count(*) FROM runtime.record_attempt") == 0
