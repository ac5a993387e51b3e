"""Stories of the ledger that are cut off by a crash. Each yields once, and what comes after that is cut off."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import Line, OrderPaid, UsageRecorded
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, PartFact
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation
from tests.integration.ledger.cutting import Stand
from tests.support.examples import MARCH_10, a_command, a_refund, an_order
from tests.support.ledger import MARCH_20, a_part

BEFORE = ["BalanceReserved", "AmountInvoiced"]
"""What is said until an account has a deficit."""


async def an_account_with_a_deficit(stand: Stand, account_id: int) -> None:
    """One order was invoiced and refunded by 20; three more are free."""
    await stand.say(an_order("D", 1000, account_id, at=MARCH_10 - timedelta(days=1)))
    await stand.say(a_command("D", request_id=1000, account_id=account_id))
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
    await stand.say(a_command("O0", request_id=1, account_id=account_id))
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
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))


async def refusing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    yield
    await stand.say(a_command("O0", "O1", request_id=1, account_id=account_id, amount_fen=250))


async def releasing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(ReleaseReservation(account_id=account_id, request_id=1))


async def issuing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(await the_part(stand, account_id, "issued"))


async def failing(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))
    yield
    await stand.say(await the_part(stand, account_id, "failed"))


async def issuing_late(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))
    await stand.say(await the_part(stand, account_id, "failed"))
    yield
    await stand.say(await the_part(stand, account_id, "issued"))


async def crediting(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(a_command(request_id=1, account_id=account_id, amount_fen=250))
    await stand.say(await the_part(stand, account_id, "issued"))
    yield
    await stand.say(await the_part(stand, account_id, "credited"))


async def paying_a_deficit(stand: Stand, account_id: int) -> AsyncIterator[None]:
    await an_account_with_a_deficit(stand, account_id)
    yield
    command = OffsetDeficit(account_id=account_id, request_id=1, accounts=(account_id,), subject="ALIYUN_SERVICE")
    await stand.say(command)


async def topping_up(stand: Stand, account_id: int) -> AsyncIterator[None]:
    yield
    await stand.say(CashToppedUp(account_id=account_id, occurred_at=MARCH_10, number="T", cash_fen=500))


async def allocating(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """From the command to the answer, with a deficit that is paid first."""
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(*orders(account_id, 4))
    yield
    await stand.say(a_command(request_id=1, account_id=account_id))
    await stand.work()


async def failing_to_allocate(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """Of what is promised something is refunded before it is allocated."""
    await an_account_with_a_deficit(stand, account_id)
    await stand.say(*orders(account_id, 4), a_command(request_id=1, account_id=account_id))
    await stand.step("hold")
    await stand.step("allocate")
    await stand.say(a_refund("F3", "O3", 30, account_id))
    yield
    await stand.work()


async def booking(stand: Stand, account_id: int) -> AsyncIterator[None]:
    """A large one is released, in steps."""
    await stand.say(*orders(account_id, 4), a_command(request_id=1, account_id=account_id))
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
"""Each story, and what is said in it, once."""
