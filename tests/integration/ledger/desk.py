"""One account's requests and the two workers of large reservations, step by step.

With the limits lowered to three and two, six orders of one yuan are many. `Desk` does what the workers' runner does.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from services.ledger.booking.handlers import invoice_failed, invoice_issued, release_reservation
from services.ledger.reservations.handlers import reserve_balance
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, PartFact, Share
from shared.contracts.ledger import (
    BalanceReserved,
    ReleaseReservation,
    ReserveBalance,
)
from shared.contracts.message import Message, Park
from tests.integration.ledger.checking import holds
from tests.support.examples import MARCH_10, a_command, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger, a_part

STEPS = 5
"""Of six orders: the sums are held, two items are allocated three times, and it is answered."""
STEPS_MAX = 100

M = TypeVar("M", bound=Message)


def of(kind: type[M], messages: Sequence[Message | Park]) -> list[M]:
    return [message for message in messages if isinstance(message, kind)]


def the(kind: type[M], messages: Sequence[Message | Park]) -> M:
    (one,) = of(kind, messages)
    return one


class Desk:
    """One account's requests, and the two workers, step by step."""

    def __init__(self, ledger: Ledger, account_id: int = 1, orders: int = 6, subject: str = "ALIYUN_SERVICE") -> None:
        self.ledger = ledger
        self.account_id = account_id
        self.crashing = False
        """Whether each step is first lost in a crash, and then done again."""
        self.orders = [
            an_order(f"O{n}", 100, account_id, subject, at=MARCH_10 + timedelta(minutes=n)) for n in range(orders)
        ]

    async def order(self, number: str, cash_fen: int = 100, subject: str = "ALIYUN_SERVICE") -> None:
        await self.ledger.bill(an_order(number, cash_fen, self.account_id, subject, at=MARCH_20))

    async def refund(self, of: str, cash_fen: int = 30) -> list[Message | Park]:
        refund = a_refund(f"F-{of}", of, cash_fen, self.account_id)
        return await self.ledger.facts(refund)

    async def opened(self, deficit_fen: int = 0) -> None:
        """Six orders; with a deficit, of an older one that was invoiced and refunded in part."""
        if deficit_fen:
            await self.ledger.bill(an_order("D", 1000, self.account_id, at=MARCH_10 - timedelta(days=1)))
            await self.part("issued", the(BalanceReserved, await self.ask(request_id=1000)), 1000)
            await self.refund("D", deficit_fen)
        await self.ledger.bill(*self.orders)

    async def ask(
        self, amount_fen: int | None = None, request_id: int = 1, accounts: tuple[int, ...] = ()
    ) -> list[Message]:
        command = a_command(request_id=request_id, amount_fen=amount_fen, account_id=self.account_id)
        return await self.reserve(command.model_copy(update={"accounts": accounts or command.accounts}))

    async def reserve(self, command: ReserveBalance) -> list[Message]:
        async with self.ledger.database.transaction() as db:
            return await reserve_balance(command, db, MARCH_20)

    async def release(self, request_id: int = 1) -> list[Message]:
        command = ReleaseReservation(account_id=self.account_id, request_id=request_id)
        async with self.ledger.database.transaction() as db:
            return await release_reservation(command, db, MARCH_20)

    async def part(self, state: str, reserved: BalanceReserved, part_id: int = 1, **shares: int) -> None:
        """`g1=100`: the part takes 100 fen of group 1. Without any it takes all that is reserved."""
        fact: PartFact = a_part(reserved, part_id).model_copy(update={"account_id": self.account_id})
        if shares:
            said = tuple(Share(group_no=int(name[1:]), amount_fen=fen) for name, fen in shares.items())
            fact = fact.model_copy(update={"shares": said, "gross_fen": sum(shares.values())})
        async with self.ledger.database.transaction() as db:
            if state == "issued":
                await invoice_issued(InvoiceIssued.model_validate(fact.model_dump()), db, MARCH_20)
            else:
                failed = InvoiceFailed.model_validate(
                    {**fact.model_dump(exclude={"number", "issued_at", "specimen"}), "reason": "X"}
                )
                await invoice_failed(failed, db, MARCH_20)

    # the jobs, as their runner drives them

    async def allocating(self) -> list[Message] | None:
        return await self.ledger.allocating(self.crashing)

    async def booking(self) -> list[Message] | None:
        return await self.ledger.booking(self.crashing)

    async def steps(self, count: int) -> list[Message]:
        """That many steps of allocating, and what they said."""
        return [message for _ in range(count) for message in await self.allocating() or ()]

    async def worked(self) -> list[Message]:
        """Until nothing is left to do; after each step the books are right."""
        said: list[Message] = []
        for worker in (self.allocating, self.booking):
            for _ in range(STEPS_MAX):
                messages = await worker()
                if messages is None:
                    break
                said += messages
                await holds(self.ledger.database)
            else:
                raise AssertionError("it does not end")
        return said

    async def held(self, amount_fen: int | None = None, **more: Any) -> BalanceReserved:  # noqa: ANN401
        """A large reservation, from the command to its answer."""
        assert await self.ask(amount_fen, **more) == []
        return the(BalanceReserved, await self.worked())

    # what is to be seen

    async def figures(self, subject: str = "ALIYUN_SERVICE") -> tuple[int, int, int, int]:
        """Invoiced, in progress, available, deficit."""
        async with self.ledger.database.read() as db:
            (found,) = [
                balance(one) for one in await pages.sums(db, self.account_id, MARCH_20) if one.subject == subject
            ]
        return found.invoiced_fen, found.in_progress_fen, found.available_fen, found.deficit_fen

    async def free(self) -> list[int]:
        """What each order has left, oldest first."""
        async with self.ledger.database.read() as db:
            rows = await db.fetch(
                "SELECT invoiceable_fen FROM item WHERE account_id = $1 AND number LIKE 'O%' ORDER BY occurred_at, item_id",
                self.account_id,
            )
        return [row[0] for row in rows]

    async def allocations(self) -> int:
        async with self.ledger.database.read() as db:
            count: int = await db.fetchval("SELECT count(*) FROM allocation WHERE account_id = $1", self.account_id)
        return count

    async def rests(self) -> None:
        """The books are right, and no work was left behind."""
        await holds(self.ledger.database)
        async with self.ledger.database.read() as db:
            for table in ("reservation WHERE answer IS NULL", "promise", "reservation_group", "booking_task"):
                assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def at_each_step(first: Desk, steps: range, deficit_fen: int = 0) -> AsyncIterator[tuple[int, Desk]]:
    """For each number of steps that may have been done, an account of its own; at the end the books are right."""
    for before in steps:
        desk = Desk(first.ledger, account_id=before + 1)
        await desk.opened(deficit_fen)
        yield before, desk
        await desk.rests()
