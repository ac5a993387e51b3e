"""Reservations over more items than one transaction takes: held at once, taken in bounded steps, exact or refused whatever happens.

The limits are lowered to three and two, so that six orders of one yuan are many. `Desk` does what the workers' runner does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from pydantic import ValidationError

from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from services.ledger.booking import store as bookings
from services.ledger.booking.handlers import invoice_failed, invoice_issued, release_reservation
from services.ledger.large_reservations import store as large_reservations
from services.ledger.reservations.handlers import reserve_balance
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, PartFact, Share
from shared.contracts.ledger import (
    AmountInvoiced,
    BalanceReserved,
    ReleaseReservation,
    ReservationImpaired,
    ReservationRefused,
    ReservationReleased,
    ReserveBalance,
)
from shared.contracts.message import Message, Park, Unacceptable
from tests.integration.ledger.checking import holds
from tests.support.examples import MARCH_10, a_bill, a_refund, an_ask, an_order
from tests.support.ledger import ALLOCATING, MARCH_20, Ledger, a_part, few_at_once

pytestmark = pytest.mark.database

STEPS = 5
"""Of six orders: the sums are held, three times two items are taken, and it is answered."""
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
        ask = an_ask(request_id=request_id, amount_fen=amount_fen, account_id=self.account_id)
        return await self.reserve(ask.model_copy(update={"accounts": accounts or ask.accounts}))

    async def reserve(self, ask: ReserveBalance) -> list[Message]:
        async with self.ledger.database.transaction() as db:
            return await reserve_balance(ask, db, MARCH_20)

    async def release(self, request_id: int = 1) -> list[Message]:
        ask = ReleaseReservation(account_id=self.account_id, request_id=request_id)
        async with self.ledger.database.transaction() as db:
            return await release_reservation(ask, db, MARCH_20)

    async def part(self, state: str, reserved: BalanceReserved, part_id: int = 1, **shares: int) -> None:
        """`g1=100` is the part's share of group 1; none means all of the reservation."""
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
        """A large reservation, from the ask to its answer."""
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

    async def items_taken(self) -> int:
        async with self.ledger.database.read() as db:
            count: int = await db.fetchval("SELECT count(*) FROM allocation WHERE account_id = $1", self.account_id)
        return count

    async def rests(self) -> None:
        """The books are right, and no work was left behind."""
        await holds(self.ledger.database)
        async with self.ledger.database.read() as db:
            for table in ("reservation WHERE answer IS NULL", "promise", "reservation_group", "booking_task"):
                assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0, table


@pytest.fixture
async def desk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Desk:
    few_at_once(monkeypatch)
    return Desk(ledger)


async def at_each_step(first: Desk, steps: range, deficit_fen: int = 0) -> AsyncIterator[tuple[int, Desk]]:
    """For each number of steps that may have been done, an account of its own; at the end the books are right."""
    for before in steps:
        desk = Desk(first.ledger, account_id=before + 1)
        await desk.opened(deficit_fen)
        yield before, desk
        await desk.rests()


# held


async def test_everything_is_held_at_once_and_taken_in_bounded_steps(desk: Desk) -> None:
    await desk.opened()
    assert await desk.ask() == []
    taken = [await desk.items_taken() for _ in range(STEPS) if await desk.allocating() == []]
    assert taken == [0, 2, 4, 6]
    assert await desk.figures() == (0, 600, 0, 0)
    assert await desk.worked() == []
    assert await desk.free() == [0] * 6
    await desk.rests()


async def test_the_answer_says_what_was_taken(desk: Desk) -> None:
    await desk.opened()
    await desk.order("G", 50, "ALIYUN_GOODS")
    reserved = await desk.held()
    assert [(group.subject, group.count, group.amount_fen) for group in reserved.groups] == [
        ("ALIYUN_GOODS", 1, 50),
        ("ALIYUN_SERVICE", 6, 600),
    ]
    assert (reserved.total_fen, reserved.offsets) == (650, ())
    await desk.rests()


async def test_by_amount_the_oldest_are_taken_and_the_rest_stays(desk: Desk) -> None:
    await desk.opened()
    reserved = await desk.held(450)
    assert reserved.total_fen == 450
    assert await desk.free() == [0, 0, 0, 0, 50, 100]
    await desk.rests()


@pytest.mark.parametrize(("amount_fen", "free"), [(None, [0] * 6), (300, [0, 0, 0, 0, 0, 50])])
async def test_a_deficit_is_paid_first_by_the_oldest(desk: Desk, amount_fen: int | None, free: list[int]) -> None:
    await desk.opened(deficit_fen=250)
    reserved = await desk.held(amount_fen)
    assert [(pair.from_number, pair.amount_fen) for pair in reserved.offsets] == [("O0", 100), ("O1", 100), ("O2", 50)]
    assert reserved.total_fen == (amount_fen or 350)
    assert await desk.free() == free
    assert await desk.figures() == (1000, reserved.total_fen, 350 - reserved.total_fen, 0)
    await desk.rests()


async def test_two_accounts_are_taken_together_each_in_its_own_groups(desk: Desk) -> None:
    member = Desk(desk.ledger, account_id=2)
    await desk.opened()
    await member.opened(deficit_fen=20)
    reserved = await desk.held(accounts=(1, 2))
    assert sorted((group.account_id, group.amount_fen) for group in reserved.groups) == [(1, 600), (2, 580)]
    assert [pair.account_id for pair in reserved.offsets] == [2]
    assert (await desk.figures(), await member.figures()) == ((0, 600, 0, 0), (1000, 580, 0, 0))
    await desk.part("issued", reserved)
    await desk.worked()
    assert (await desk.figures(), await member.figures()) == ((600, 0, 0, 0), (1580, 0, 0, 0))
    await desk.rests()


REFUSALS = {
    "by amount": (0, 601, "INSUFFICIENT_INVOICEABLE", {"need_fen": 601, "have_fen": 600, "shortfall_fen": 1}),
    "by amount with a deficit": (
        *(50, 551, "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT"),
        {"need_fen": 601, "have_fen": 600, "shortfall_fen": 1, "deficit_fen": 50},
    ),
    "a deficit above everything": (
        *(601, None, "DEFICIT_NOT_COVERED"),
        {"subject": "ALIYUN_SERVICE", "deficit_fen": 601, "have_fen": 600, "shortfall_fen": 1},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_one_fen_short_is_refused_with_the_figures_and_holds_nothing(desk: Desk, case: str) -> None:
    deficit_fen, amount_fen, reason, detail = REFUSALS[case]
    await desk.opened(deficit_fen)
    before = await desk.figures()
    assert await desk.ask(amount_fen) == []
    refused = the(ReservationRefused, await desk.worked())
    assert (refused.reason, refused.detail) == (reason, detail)
    assert (await desk.figures(), await desk.free()) == (before, [100] * 6)
    await desk.rests()


async def test_a_deficit_that_too_many_items_would_have_to_pay_is_refused(desk: Desk) -> None:
    await desk.opened(deficit_fen=450)
    await desk.ask()
    assert the(ReservationRefused, await desk.worked()).reason == "SELECTION_TOO_LARGE"
    assert await desk.figures() == (1000, 0, 600, 450)
    await desk.rests()


@pytest.mark.parametrize(("orders", "at_once"), [(2000, True), (2001, False)])
async def test_two_thousand_items_are_taken_at_once_and_one_more_in_steps(
    ledger: Ledger, orders: int, at_once: bool
) -> None:
    desk = Desk(ledger, orders=orders)
    await desk.opened()
    answers = await desk.ask()
    assert bool(answers) == at_once
    reserved = the(BalanceReserved, answers + await desk.worked())
    assert (reserved.total_fen, reserved.groups[0].count) == (100 * orders, orders)
    assert len(of(ReservationReleased, await desk.release() + await desk.worked())) == 1
    assert await desk.figures() == (0, 0, 100 * orders, 0)
    await desk.rests()


# meanwhile


async def test_a_second_request_meanwhile_gets_only_what_is_free(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(STEPS + 1)):
        await one.ask(450)
        said = await one.steps(before)
        said += await one.ask(151, request_id=2)
        said += await one.ask(150, request_id=3)
        said += await one.worked()
        totals = {answer.request_id: answer.total_fen for answer in of(BalanceReserved, said)}
        if before:
            assert totals == {1: 450, 3: 150}
            assert await one.figures() == (0, 600, 0, 0)
        else:  # nothing was held yet: whoever comes first is served, and the large one lacks a fen
            assert totals == {2: 151, 3: 150}
            assert the(ReservationRefused, said).detail["shortfall_fen"] == 450 + 150 + 151 - 600


async def test_the_whole_rest_meanwhile_is_what_is_free_or_refused(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(1, STEPS + 1)):
        await one.ask(450)
        said = await one.steps(before) + await one.ask(request_id=2) + await one.worked()
        totals = {one.request_id: one.total_fen for one in of(BalanceReserved, said)}
        assert totals[1] == 450
        assert totals.get(2, 150) == 150
        assert len(said) == 2


async def test_orders_that_arrive_meanwhile_are_counted_and_free(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(STEPS + 1)):
        await one.ask()
        said = await one.steps(before)
        await one.order("O6")
        await holds(one.ledger.database)
        said += await one.worked()
        held_fen = 600 if before else 700
        assert the(BalanceReserved, said).total_fen == held_fen
        assert await one.figures() == (0, held_fen, 700 - held_fen, 0)


async def test_a_refund_meanwhile_leaves_it_exact_or_refused(desk: Desk) -> None:
    """Before it is held it is not promised; once the item is taken it is a deficit; between the two the promise can't be kept."""
    async for before, one in at_each_step(desk, range(STEPS + 1), deficit_fen=20):
        await one.ask()
        said = await one.steps(before)
        await one.refund("O5")
        await holds(one.ledger.database)
        said += await one.worked()
        if before == 0:
            assert the(BalanceReserved, said).total_fen == 550
            assert await one.figures() == (1000, 550, 0, 0)
        elif before < STEPS - 1:
            refused = the(ReservationRefused, said)
            assert refused.detail == {"need_fen": 580, "have_fen": 550, "shortfall_fen": 30}
            assert await one.figures() == (1000, 0, 570, 20)
            assert await one.free() == [100] * 5 + [70]
        else:
            assert the(BalanceReserved, said).total_fen == 580
            assert await one.figures() == (1000, 580, 0, 30)


async def test_what_a_refund_took_may_come_from_an_order_that_arrives(desk: Desk) -> None:
    await desk.opened()
    await desk.ask()
    await desk.steps(2)
    await desk.refund("O5")
    await desk.order("O6", 30)
    assert the(BalanceReserved, await desk.worked()).total_fen == 600
    assert await desk.figures() == (0, 600, 0, 0)
    await desk.rests()


async def test_a_request_of_which_nothing_is_left_is_refused_and_leaves_the_deficit(desk: Desk) -> None:
    await desk.opened(deficit_fen=20)
    await desk.ask()
    await desk.steps(1)
    for order in desk.orders:
        await desk.refund(order.number, 100)
    refused = the(ReservationRefused, await desk.worked())
    assert refused.detail == {"need_fen": 580, "have_fen": 0, "shortfall_fen": 580}
    assert (await desk.figures())[0:2] == (1000, 0)
    await desk.rests()


async def test_a_refund_of_what_is_held_is_told_to_the_request(desk: Desk) -> None:
    await desk.opened()
    reserved = await desk.held()
    impaired = the(ReservationImpaired, await desk.refund("O0"))
    assert (impaired.request_id, impaired.reservation_id) == (1, reserved.reservation_id)
    assert await desk.figures() == (0, 600, 0, 30)
    assert the(ReservationReleased, await desk.release() + await desk.worked()).released_fen == 600
    assert await desk.figures() == (0, 0, 570, 0)
    await desk.rests()


async def test_a_refund_of_what_is_already_taken_is_told_once_too(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(2, STEPS + 1)):
        await one.ask()
        said = [*await one.steps(before), *await one.refund("O0"), *await one.worked()]
        assert the(BalanceReserved, said).total_fen == 600
        assert the(ReservationImpaired, said).request_id == 1
        assert of(ReservationRefused, said) == []


async def test_what_comes_back_to_an_item_already_taken_may_be_taken_as_well(desk: Desk) -> None:
    await desk.opened()
    assert the(BalanceReserved, await desk.ask(40, request_id=2)).total_fen == 40
    await desk.ask()
    await desk.steps(2)
    await desk.refund("O5")
    await desk.release(request_id=2)
    assert the(BalanceReserved, await desk.worked()).total_fen == 560
    assert await desk.figures() == (0, 560, 10, 0)
    await desk.rests()


async def test_a_deficit_is_not_paid_with_what_is_promised_to_another_large_request(desk: Desk) -> None:
    """The second's sums are held before anything is taken for the first."""
    await desk.ledger.bill(an_order("D", 1000, at=MARCH_10 - timedelta(days=1)))
    await desk.part("issued", the(BalanceReserved, await desk.ask(request_id=1000)), 1000)
    for cycle, minutes in (("202601", 0), ("202602", 10)):
        at = MARCH_10 + timedelta(minutes=minutes)
        await desk.ledger.bill(*(a_bill(f"{cycle}-{n}", 100, cycle, at=at + timedelta(minutes=n)) for n in range(5)))
    first = an_ask(request_id=1).model_copy(update={"cycles": ("202601",)})
    assert await desk.reserve(first) + await desk.ask(request_id=2) == []
    await desk.steps(1)
    await desk.refund("D", 20)
    said = await desk.steps(1)
    said += await desk.worked()
    totals = {one.request_id: one.total_fen for one in of(BalanceReserved, said)}
    assert totals[1] == 500
    assert totals.get(2, 480) == 480, "exact, or refused"
    await desk.rests()


async def test_a_deficit_is_judged_on_all_of_its_subject(desk: Desk) -> None:
    """Not on those items only that were looked at until there was enough of any subject."""
    desk.orders = []
    await desk.opened(deficit_fen=50)
    for number, fen, subject in (
        ("O1", 20, "ALIYUN_SERVICE"),
        ("G", 200, "ALIYUN_GOODS"),
        ("O2", 40, "ALIYUN_SERVICE"),
    ):
        await desk.order(number, fen, subject)
    reserved = the(BalanceReserved, await desk.ask(10))
    assert (reserved.total_fen, sum(pair.amount_fen for pair in reserved.offsets)) == (10, 50)
    await desk.rests()


# asked again, crashed, at once


async def test_asking_again_meanwhile_changes_nothing_and_afterwards_gives_the_answer(desk: Desk) -> None:
    async for before, one in at_each_step(desk, range(STEPS + 1)):
        await one.ask()
        said = await one.steps(before)
        again = await one.ask()
        said += await one.worked()
        assert again == (said if before == STEPS else [])
        assert await one.ask() == said
        assert await one.figures() == (0, 600, 0, 0)


async def test_a_crash_in_each_step_changes_nothing(desk: Desk) -> None:
    await desk.opened(deficit_fen=250)
    desk.crashing = True
    reserved = await desk.held()
    assert (reserved.total_fen, await desk.figures()) == (350, (1000, 350, 0, 0))
    await desk.release()
    assert the(ReservationReleased, await desk.worked()).released_fen == 350
    assert await desk.figures() == (1000, 0, 600, 250)
    await desk.rests()


async def test_two_workers_at_once_do_each_step_once(desk: Desk) -> None:
    others = [Desk(desk.ledger, account_id) for account_id in (2, 3)]
    desk = Desk(desk.ledger, orders=12)
    await desk.opened(deficit_fen=20)
    for other in others:
        await other.opened()
        await other.ask()
    assert await desk.ask(500) + await desk.ask(450, request_id=2) == []
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    answers = [message for messages in said for message in messages] + await desk.worked()
    totals = sorted((one.account_id, one.request_id, one.total_fen) for one in of(BalanceReserved, answers))
    assert totals == [(1, 1, 500), (1, 2, 450), (2, 1, 600), (3, 1, 600)]
    for other in (desk, *others):
        await other.release()
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    assert sum(len(of(ReservationReleased, messages)) for messages in said) == 3
    await desk.rests()


async def test_two_workers_at_different_sums_give_what_prints_alike_one_number(desk: Desk) -> None:
    """Two bills of a month that came at different times are of two sums and print alike."""
    for bill, at in (("B1", MARCH_10), ("B2", MARCH_10 + timedelta(days=1))):
        lines = tuple(
            a_bill(bill, 100, "202602").lines[0].model_copy(update={"spec": f"spec {number % 3}"})
            for number in range(9)
        )
        await desk.ledger.facts(a_bill(bill, 100, "202602", at=at).model_copy(update={"lines": lines}), now=at)
    assert await desk.ask() == []
    said = [*await asyncio.gather(desk.worked(), desk.worked())]
    reserved = the(BalanceReserved, [message for messages in said for message in messages] + await desk.worked())
    found = sorted((one.group_no, one.count, one.amount_fen) for one in reserved.groups)
    assert found == [(number, 6, 600) for number in (1, 2, 3)]
    assert {one.spec for one in reserved.groups} == {"spec 0", "spec 1", "spec 2"}
    await desk.part("issued", reserved, 1, g2=600)
    await desk.worked()
    assert await desk.figures() == (600, 1200, 0, 0)


async def test_beside_a_large_one_a_small_one_finds_what_is_free_also_before_its_own_month(desk: Desk) -> None:
    """Only months that have something free are looked through; a bill of February that was said to be of January is found all the same."""
    await desk.opened()
    assert await desk.ask() == []
    await desk.steps(1)
    await desk.ledger.bill(a_bill("B", 50, "202602", at=MARCH_10 - timedelta(days=60)))
    assert the(BalanceReserved, await desk.ask(40, request_id=2)).total_fen == 40
    assert the(ReservationRefused, await desk.ask(11, request_id=3)).detail["have_fen"] == 10
    assert the(BalanceReserved, await desk.worked()).total_fen == 600


# what becomes of it


@pytest.mark.parametrize("before", range(STEPS))
async def test_a_release_before_the_answer_is_too_early_and_one_after_it_gives_all_back(
    desk: Desk, before: int
) -> None:
    await desk.opened()
    await desk.ask()
    await desk.steps(before)
    assert await desk.release() == []
    assert the(BalanceReserved, await desk.worked()).total_fen == 600
    assert await desk.release() == []
    assert the(ReservationReleased, await desk.worked()).released_fen == 600
    assert await desk.figures() == (0, 0, 600, 0)
    await desk.release()
    assert the(ReservationReleased, await desk.worked()).released_fen == 0
    await desk.rests()


async def test_a_release_gives_the_deficit_back_too(desk: Desk) -> None:
    await desk.opened(deficit_fen=150)
    await desk.held()
    await desk.release()
    assert the(ReservationReleased, await desk.worked()).released_fen == 450
    assert await desk.figures() == (1000, 0, 600, 150)
    await desk.rests()


async def test_parts_are_booked_in_order_over_their_groups(desk: Desk) -> None:
    await desk.opened()
    await desk.ledger.bill(
        *(an_order(f"G{n}", 100, 1, "ALIYUN_GOODS", at=MARCH_10 + timedelta(minutes=n)) for n in range(5))
    )
    reserved = await desk.held()
    goods, service = (group.group_no for group in reserved.groups)
    await desk.part("issued", reserved, 1, **{f"g{service}": 250, f"g{goods}": 500})
    await desk.part("failed", reserved, 2, **{f"g{service}": 350})
    assert await desk.figures() == (0, 600, 0, 0), "the orders wait for the worker"
    await desk.worked()
    assert await desk.figures() == (250, 0, 350, 0)
    assert await desk.figures("ALIYUN_GOODS") == (500, 0, 0, 0)
    await desk.part("issued", reserved, 1, **{f"g{service}": 250, f"g{goods}": 500})
    await desk.part("failed", reserved, 2, **{f"g{service}": 350})
    await desk.worked()
    assert await desk.figures() == (250, 0, 350, 0), "said again, it counts no more"
    await desk.rests()


@pytest.mark.parametrize("shares", [{"g1": 601}, {"g1": 1, "g2": 1}], ids=["more than its group", "an unknown group"])
async def test_a_document_over_more_than_was_taken_is_refused_at_once_and_the_next_is_booked(
    desk: Desk, shares: dict[str, int]
) -> None:
    await desk.opened()
    reserved = await desk.held()
    with pytest.raises(Unacceptable, match="SHARES_NOT_HELD"):
        await desk.part("issued", reserved, 1, **shares)
    assert await desk.worked() == []
    await desk.part("issued", reserved, 2, g1=600)
    assert the(AmountInvoiced, await desk.worked()).amount_fen == 600
    assert await desk.figures() == (600, 0, 0, 0)
    await desk.rests()


async def test_documents_that_together_take_more_than_was_held_are_said_with_what_there_was(desk: Desk) -> None:
    await desk.opened()
    reserved = await desk.held()
    for part_id, share in enumerate((500, 500, 500), 1):
        await desk.part("issued", reserved, part_id, g1=share)
    said = of(AmountInvoiced, await desk.worked())
    assert [one.amount_fen for one in said] == [500, 100], "the third found nothing and says nothing"
    await desk.rests()


async def test_a_document_that_turns_out_to_exist_takes_back_what_was_released(desk: Desk) -> None:
    await desk.opened(deficit_fen=20)
    reserved = await desk.held()
    await desk.part("failed", reserved)
    await desk.worked()
    assert await desk.figures() == (1000, 0, 600, 20)
    await desk.part("issued", reserved)
    await desk.worked()
    assert await desk.figures() == (1580, 0, 20, 20)
    await desk.part("failed", reserved)
    await desk.worked()
    assert await desk.figures() == (1580, 0, 20, 20), "too late: the document exists"
    await desk.rests()


async def test_a_late_document_over_what_another_request_holds_is_a_deficit(desk: Desk) -> None:
    await desk.opened()
    reserved = await desk.held()
    await desk.release()
    await desk.worked()
    await desk.held(450, request_id=2)
    await desk.part("issued", reserved)
    await desk.worked()
    assert await desk.figures() == (600, 450, 0, 450)
    await desk.rests()


async def test_what_is_issued_keeps_the_deficit_paid(desk: Desk) -> None:
    await desk.opened(deficit_fen=20)
    reserved = await desk.held()
    await desk.part("issued", reserved, 1, g1=1)
    await desk.release()
    assert the(ReservationReleased, await desk.worked()).released_fen == 579
    assert await desk.figures() == (1001, 0, 579, 0)
    await desk.rests()


async def test_a_large_one_that_is_refused_after_all_gives_back_in_steps(desk: Desk) -> None:
    """More was taken than one transaction gives back: the refusal comes at once, the items follow."""
    await desk.opened()
    await desk.ask()
    await desk.steps(3)
    await desk.refund("O5")
    said: list[Message] = []
    while not said:
        said = await desk.allocating() or []
    refused = the(ReservationRefused, said)
    assert refused.detail["have_fen"] == 570
    assert (await desk.figures())[1] > 0, "not yet given back"
    assert of(ReservationReleased, await desk.worked()) == []
    assert await desk.figures() == (0, 0, 570, 0)
    assert await desk.ask() == said
    await desk.rests()


# what cannot be worked off


Aside = tuple[Callable[..., Any], Callable[..., Any], int]
ASIDE: dict[str, Aside] = {
    "hold": (large_reservations.next_to_hold, large_reservations.set_aside, 0),
    "allocate": (large_reservations.next_promise, large_reservations.set_promise_aside, 1),
    "answer": (large_reservations.next_to_answer, large_reservations.set_aside, STEPS - 1),
}
REST = timedelta(minutes=1)


@pytest.mark.parametrize("name", ASIDE)
async def test_a_row_that_is_set_aside_rests_and_lets_others_pass(name: str, desk: Desk) -> None:
    claim, set_aside, before = ASIDE[name]
    other = Desk(desk.ledger, account_id=2)
    for one in (desk, other):
        await one.opened()
        await one.ask()
    for _ in range(2 * before):
        await desk.ledger.job(*ALLOCATING[0]) or await desk.ledger.job(*ALLOCATING[2])
    async with desk.ledger.database.transaction() as db:
        await set_aside(await claim(db, MARCH_20, MARCH_20), db, MARCH_20 + REST)
        found = await claim(db, MARCH_20, MARCH_20)
        assert getattr(found, "reservation", found).account_id == 2, "its own rests"
        await set_aside(found, db, MARCH_20 + 2 * REST)
        assert await claim(db, MARCH_20 + REST - timedelta(seconds=1), MARCH_20) is None
        found = await claim(db, MARCH_20 + 3 * REST, MARCH_20)
        assert getattr(found, "reservation", found).account_id == 1, "who rests longer comes later"


async def test_orders_behind_one_that_is_set_aside_wait_and_those_on_other_reservations_do_not(desk: Desk) -> None:
    other = Desk(desk.ledger, account_id=2)
    for one in (desk, other):
        await one.opened()
        await one.held()
    for _ in range(2):
        await desk.release()
    await other.release()
    async with desk.ledger.database.transaction() as db:
        first = await bookings.next_task(db, MARCH_20, MARCH_20)
        assert first is not None
        await bookings.set_aside(first, db, MARCH_20 + REST)
        passing = await bookings.next_task(db, MARCH_20, MARCH_20)
        assert passing is not None
        assert (first.task.account_id, passing.task.account_id) == (1, 2)
        await bookings.set_aside(passing, db, MARCH_20 + 2 * REST)
        assert await bookings.next_task(db, MARCH_20, MARCH_20) is None, "the second waits behind the first"
        again = await bookings.next_task(db, MARCH_20 + 3 * REST, MARCH_20)
        assert again is not None
        assert again.task_id == first.task_id


async def test_a_question_that_cannot_be_read_any_more_holds_nobody_up(desk: Desk) -> None:
    await desk.opened()
    await desk.ask()
    async with desk.ledger.database.transaction() as db:
        await db.execute("UPDATE reservation SET command = '{}' WHERE large")
        found = await large_reservations.next_to_hold(db, MARCH_20, MARCH_20)
        assert found is not None, "it is found, and so can be set aside"
        with pytest.raises(ValidationError):
            _ = found.command
