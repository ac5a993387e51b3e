"""What happens between the steps of a large reservation: requests, orders and refunds leave it exact, or refused."""

from datetime import timedelta

import pytest

from shared.contracts.ledger import (
    BalanceReserved,
    ReservationImpaired,
    ReservationRefused,
    ReservationReleased,
)
from tests.integration.ledger.checking import holds
from tests.integration.ledger.desk import STEPS, Desk, at_each_step, of, the
from tests.support.examples import MARCH_10, a_bill, a_command, an_order

pytestmark = pytest.mark.database


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
    """Before the sums are held nothing is promised, and once the item is allocated there is a deficit. In between the promise is broken."""
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
    """The second's sums are held before anything is allocated for the first."""
    await desk.ledger.bill(an_order("D", 1000, at=MARCH_10 - timedelta(days=1)))
    await desk.part("issued", the(BalanceReserved, await desk.ask(request_id=1000)), 1000)
    for cycle, minutes in (("202601", 0), ("202602", 10)):
        at = MARCH_10 + timedelta(minutes=minutes)
        await desk.ledger.bill(*(a_bill(f"{cycle}-{n}", 100, cycle, at=at + timedelta(minutes=n)) for n in range(5)))
    first = a_command(request_id=1).model_copy(update={"cycles": ("202601",)})
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
