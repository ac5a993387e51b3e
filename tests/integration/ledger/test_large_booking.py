"""What becomes of a large reservation: released, issued or failed, booked in bounded steps."""

from datetime import timedelta

import pytest

from shared.contracts.ledger import (
    AmountInvoiced,
    BalanceReserved,
    ReservationRefused,
    ReservationReleased,
)
from shared.contracts.message import Message, Unacceptable
from tests.integration.ledger.desk import STEPS, Desk, of, the
from tests.support.examples import MARCH_10, an_order

pytestmark = pytest.mark.database


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
    assert await desk.figures() == (0, 600, 0, 0), "the booking tasks wait for the worker"
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
    assert await desk.figures() == (1580, 0, 20, 20), "too late: the invoice exists"
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
    """More was allocated than one transaction gives back: the refusal comes at once, the items follow."""
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
