"""Many at once, many times over: whatever the order, nobody gets what is not there, and everybody gets what is.

Each round has an account of its own. A deadlock or a twin's row is a transient error, as for the runtime: it is tried again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import pytest

from deploy.demo.client import eventually
from services.ledger.app import MIGRATIONS
from services.ledger.intake.handlers import billing_facts
from services.ledger.reservations.handlers import reserve_balance
from services.ledger.reservations.store import begin
from services.ledger.selections.search import select
from shared.contracts.ledger import BalanceReserved, ReservationRefused
from shared.runtime.database import Database
from tests.conftest import OpenDatabase
from tests.integration.ledger.books import Books
from tests.integration.ledger.checking import holds
from tests.support.databases import Databases
from tests.support.examples import a_command, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger, few_at_once
from tests.support.ledger_model import PARTS_OF_A_GROUP

pytestmark = pytest.mark.database

CONNECTIONS, ROUNDS, TRIES_MAX = 30, 50, 30
SERVICE = "ALIYUN_SERVICE"

T = TypeVar("T")

CIRCLES: list[asyncpg.DeadlockDetectedError] = []
"""What a test met of them. They pass, and none of these races makes one."""


@pytest.fixture
async def crowd(databases: Databases) -> AsyncIterator[Database]:
    """A ledger with thirty connections; after the race its books are right, and nobody waited in a circle."""
    CIRCLES.clear()
    database = await databases.open(MIGRATIONS, CONNECTIONS)
    yield database
    await holds(database)
    assert CIRCLES == []
    await database.close()
    await databases.drop(database.dsn)


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    for _ in range(TRIES_MAX):
        try:
            return await work()
        except (asyncpg.TransactionRollbackError, asyncpg.UniqueViolationError) as error:
            CIRCLES.extend([error] if isinstance(error, asyncpg.DeadlockDetectedError) else [])
    raise AssertionError("transient errors for ever")


async def at_once(*works: Callable[[], Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*map(patiently, works))


async def rounds(one: Callable[[Books], Awaitable[None]], crowd: Database, together: int, count: int = ROUNDS) -> None:
    """Some run beside each other, each on its own account, so that all connections are busy."""
    for _ in range(0, count, together):
        await asyncio.gather(*(one(Books(crowd)) for _ in range(together)))


async def figures(books: Books) -> tuple[int, int, int, int]:
    """Reserved, invoiced, available, deficit."""
    state = await books.state()
    available, deficit = (await books.balances())[SERVICE]
    return sum(one[2] for one in state.values()), sum(one[3] for one in state.values()), available, deficit


async def orders(books: Books, *amounts: int) -> None:
    for place, fen in enumerate(amounts):
        await books.settle(f"O{place}", SERVICE, fen)


def invoices(books: Books) -> list[Callable[[], Awaitable[None]]]:
    """All parts of request 1 are issued."""
    return [lambda part=part: books.book(1, part, "issued") for part in range(PARTS_OF_A_GROUP)]  # type: ignore[misc]


async def owing(books: Books, fen: int) -> None:
    """O0 was invoiced in full and then refunded by that much."""
    await orders(books, 1000)
    await books.reserve(1, (), None, None)
    for invoice in invoices(books):
        await invoice()
    await books.refund("F0", "O0", fen)


def granted(answers: list[Any]) -> int:
    """What was reserved altogether."""
    return sum(sum(figures.values()) for reason, figures in answers if reason == "reserved")


async def test_thirty_requests_for_ten_orders(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, *[100] * 10)
        requests = [lambda n=n: books.reserve(n, (), None, 100) for n in range(1, CONNECTIONS + 1)]
        answers = await at_once(*requests)
        assert sorted(reason for reason, _ in answers) == ["INSUFFICIENT_INVOICEABLE"] * 20 + ["reserved"] * 10
        assert await figures(books) == (1000, 0, 0, 0)

    await rounds(race, crowd, together=1, count=ROUNDS // 3)


async def test_requests_for_orders_that_overlap(crowd: Database) -> None:
    """Each names two of four orders in a ring: at least one and at most two of them can have both."""

    async def race(books: Books) -> None:
        await orders(books, *[100] * 4)
        requests = [lambda n=n: books.reserve(n + 1, (f"O{n % 4}", f"O{(n + 1) % 4}"), None, 200) for n in range(6)]
        total = granted(await at_once(*requests))
        assert total in {200, 400}
        assert await figures(books) == (total, 0, 400 - total, 0)

    await rounds(race, crowd, together=5)


async def test_a_request_against_a_refund(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, 100, 50)
        answer, told = await at_once(lambda: books.reserve(1, (), None, None), lambda: books.refund("F0", "O0", 60))
        total = granted([answer])
        assert (total, told) in [(90, set()), (150, {1})], "it comes first and is counted, or after it and is told"
        assert await figures(books) == (total, 0, 0, total - 90)

    await rounds(race, crowd, together=10)


async def test_a_document_against_a_refund(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, 100)
        await books.reserve(1, (), None, None)
        *_, told = await at_once(*invoices(books), lambda: books.refund("F0", "O0", 60))
        assert told <= {1}
        assert await figures(books) == (0, 100, 0, 60)

    await rounds(race, crowd, together=10)


async def test_a_release_against_a_document_and_another_request(crowd: Database) -> None:
    """The invoice exists whoever comes first; what another request got of it meanwhile is a deficit."""

    async def race(books: Books) -> None:
        await orders(books, 100)
        await books.reserve(1, (), None, None)
        released, other, *_ = await at_once(
            lambda: books.release(1), lambda: books.reserve(2, (), None, 100), *invoices(books)
        )
        total = granted([other])
        assert released in {0, 50, 100}
        assert await figures(books) == (total, 100, 0, total)

    await rounds(race, crowd, together=10)


async def test_requests_against_orders_that_arrive(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, *[100] * 4)
        requests = [lambda n=n: books.reserve(n, (), None, 100) for n in range(1, 7)]
        arrivals = [lambda n=n: books.settle(f"O{n}", SERVICE, 100) for n in range(4, 8)]
        answers = await at_once(*requests, *arrivals)
        total = granted(answers[: len(requests)])
        assert 400 <= total <= 600
        assert await figures(books) == (total, 0, 800 - total, 0)

    await rounds(race, crowd, together=3)


async def test_a_deficit_paid_by_itself_against_requests(crowd: Database) -> None:
    """Whoever comes first pays it, once; then there is enough for two of the three."""

    async def race(books: Books) -> None:
        await owing(books, 100)
        await orders(books, 1000, 250, 250)
        await at_once(
            lambda: books.offset(2, (), SERVICE, None),
            *(lambda n=n: books.reserve(n, (), None, 200) for n in range(3, 6)),
        )
        assert await figures(books) == (400, 1000, 0, 0)

    await rounds(race, crowd, together=7)


async def test_one_request_delivered_to_ten_at_once(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, 100, 100)
        answers = await at_once(*[lambda: books.reserve(1, (), None, 100)] * 10)
        assert answers == [("reserved", {SERVICE: 100})] * 10
        assert await figures(books) == (100, 0, 100, 0)

    await rounds(race, crowd, together=3)


async def test_the_same_documents_told_many_times_at_once(crowd: Database) -> None:
    async def race(books: Books) -> None:
        await orders(books, 100, 100)
        await books.reserve(1, (), None, 150)
        await at_once(*invoices(books) * 5)
        assert await figures(books) == (0, 150, 50, 0)

    await rounds(race, crowd, together=3)


async def somebody_waits(ledger: Ledger) -> None:
    async with ledger.database.transaction() as looking:
        await eventually("somebody who waits", lambda: looking.fetch("SELECT FROM pg_locks WHERE NOT granted"))


async def test_a_request_and_a_batch_with_a_refund_wait_for_each_other_and_never_in_a_circle(
    open_database: OpenDatabase,
) -> None:
    """The batch comes while the request has its items and not yet their sum, which a new order of the batch raises."""
    ledger = Ledger(await open_database(MIGRATIONS))
    await ledger.bill(an_order("O1", 1_000))
    async with ledger.database.transaction() as reserving:
        await select(reserving, a_command("O1"), MARCH_20)
        arriving = asyncio.create_task(ledger.bill(an_order("O2", 50), a_refund("F1", of="O1", cash_fen=100)))
        await somebody_waits(ledger)
        await reserve_balance(a_command("O1"), reserving, MARCH_20)
    assert await arriving == []
    assert await ledger.figures() == (0, 1_000, 50, 100), "the refund came after the request"


async def test_a_large_request_takes_its_sums_when_no_small_one_is_choosing(
    open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of another account of both: whoever chose before the promise has written what it took."""
    few_at_once(monkeypatch)
    ledger = Ledger(await open_database(MIGRATIONS))
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)), an_order("M", 100, account_id=2))
    assert await ledger.asked(a_command(request_id=1, amount_fen=550)) == []
    small = a_command(request_id=2, account_id=2).model_copy(update={"accounts": (2, 1), "amount_fen": 60})
    async with ledger.database.transaction() as choosing:
        await begin(choosing, small)
        holding = asyncio.create_task(ledger.allocated())
        await somebody_waits(ledger)
        (answer,) = await reserve_balance(small, choosing, MARCH_20)
        assert isinstance(answer, BalanceReserved)
        assert {group.account_id: group.amount_fen for group in answer.groups} == {1: 60}
    (refused,) = await holding
    assert isinstance(refused, ReservationRefused)
    assert refused.detail["have_fen"] == 540
    await holds(ledger.database)


ROWS = {
    "a reservation of two subjects": (
        1,
        "SELECT FROM balance_sum WHERE account_id = 1 AND subject = 'ALIYUN_GOODS' FOR UPDATE",
        "SELECT FROM balance_sum WHERE account_id = 1 AND subject = 'ALIYUN_SERVICE' FOR UPDATE",
    ),
    "the word on balances of two accounts": (
        2,
        "SELECT FROM account_change WHERE account_id = 1 FOR UPDATE",
        "SELECT FROM account_change WHERE account_id = 2 FOR UPDATE",
    ),
    "a look at a waiting refund": (
        1,
        "SELECT FROM refund WHERE number = 'F3' FOR UPDATE",
        "SELECT FROM balance_sum WHERE account_id = 1 FOR UPDATE",
    ),
}


@pytest.mark.parametrize("who", ROWS)
async def test_a_batch_of_orders_and_refunds_locks_in_the_order_of_everybody_else(
    open_database: OpenDatabase, who: str
) -> None:
    """Who has the first of two rows gets the second, while the batch, with an order of that account, waits for the first."""
    account_id, first, second = ROWS[who]
    ledger = Ledger(await open_database(MIGRATIONS))
    await ledger.bill(an_order("G", 100, subject="ALIYUN_GOODS"), an_order("S", 100), an_order("M", 100, account_id=2))
    await ledger.bill(a_refund("F3", of="not-yet", cash_fen=5))
    batch = [an_order("N", 50, account_id), a_refund("F1", of="G", cash_fen=10)]
    async with ledger.database.transaction() as other:
        await other.execute(first)
        arriving = asyncio.create_task(ledger.bill(*batch))
        await somebody_waits(ledger)
        await other.execute("SET LOCAL lock_timeout = '1s'")
        await other.execute(second)
    assert await arriving == []
    assert (await ledger.places())["G"] == (90, 0, 0, 0)
    await holds(ledger.database)


@pytest.mark.parametrize("job", ["the hold of a large request", "a small request beside a large one"])
async def test_whoever_has_an_item_gets_its_sum_while_requests_wait_for_the_item(
    open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """A refund makes an order owe: it has the item, and then wants the sum that the request must not have yet."""
    few_at_once(monkeypatch)
    ledger = Ledger(await open_database(MIGRATIONS))
    await ledger.in_deficit(20)
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)))
    assert await ledger.asked(a_command(request_id=1, amount_fen=450)) == []
    if job == "the hold of a large request":
        waiting = ledger.allocated(steps=1)
    else:
        await ledger.allocated(steps=1)
        waiting = ledger.asked(a_command(request_id=2, amount_fen=130))
    async with ledger.database.transaction() as refunding:
        await refunding.execute("SELECT FROM item ORDER BY occurred_at, item_id FOR UPDATE")
        request = asyncio.create_task(waiting)
        await somebody_waits(ledger)
        await refunding.execute("SET LOCAL lock_timeout = '1s'")
        await billing_facts([a_refund("F2", of="O0", cash_fen=10)], refunding, MARCH_20, catalogue=ledger.catalogue)
    await request
    answers = [message for message in await ledger.allocated() if isinstance(message, BalanceReserved)]
    await holds(ledger.database)
    assert [answer.total_fen for answer in answers] == [450]
    assert (await ledger.figures())[:2] == (100_000, 450)
