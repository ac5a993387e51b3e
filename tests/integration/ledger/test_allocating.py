"""What proofs found: parts of one group in any order, and promises of large reservations against everything that comes between."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.demo.client import eventually
from services.ledger.journal import limits
from services.ledger.reservations.rules import Decision, offset
from services.ledger.selections import search
from shared.contracts.ledger import BalanceReserved, OffsetDeficit, ReservationRefused, ReserveBalance
from shared.contracts.message import Message
from tests.support.examples import MARCH_10, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger, few_at_once

pytestmark = pytest.mark.database


def the_pairs(messages: Sequence[Message] | Message) -> list[tuple[str, str, int]]:
    assert isinstance(messages, BalanceReserved), messages
    return [(one.from_number, one.to_number, one.amount_fen) for one in messages.offsets]


async def promised(ledger: Ledger) -> None:
    """Of six orders of one yuan, 450 fen to request 1, nothing of it taken yet."""
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)))
    assert await ledger.asked(ReserveBalance(account_id=1, request_id=1, accounts=(1,), amount_fen=450)) == []
    await ledger.allocated(steps=1)


async def test_a_part_takes_what_is_held_before_it_takes_back_what_another_part_released(ledger: Ledger) -> None:
    await ledger.bill(an_order("A", 100), an_order("B", 100))
    reserved = await ledger.reserve("A", "B")
    await ledger.failed(reserved, part_id=1, gross_fen=100)
    await ledger.issued(reserved, part_id=2, gross_fen=100)
    assert await ledger.places() == {"A": (100, 0, 0, 0), "B": (0, 0, 100, 0)}
    await ledger.issued(reserved, part_id=1, gross_fen=100)
    assert await ledger.places() == {"A": (0, 0, 100, 0), "B": (0, 0, 100, 0)}


async def test_a_deficit_far_behind_the_first_items_is_paid_by_its_own_subject(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    await ledger.in_deficit(50)
    goods = an_order("G", 200, subject="ALIYUN_GOODS", at=MARCH_10.replace(hour=11))
    later = an_order("A2", 40, at=MARCH_10.replace(hour=12))
    await ledger.bill(an_order("A1", 20), goods, later)
    answer = await ledger.reserve(amount_fen=10)
    assert the_pairs(answer) == [("A1", "F1", 20), ("A2", "F1", 30)]
    assert answer.total_fen == 10


async def test_a_deficit_of_one_account_is_not_paid_by_another_that_was_named_beside_it(ledger: Ledger) -> None:
    await ledger.in_deficit(100)
    await ledger.bill(an_order("M2", 500, account_id=2))
    command = OffsetDeficit(account_id=1, request_id=1, accounts=(1, 2), subject="ALIYUN_SERVICE")
    async with ledger.database.transaction() as db:
        selected = await search.select(db, command, MARCH_20)
    decision = offset(command, None, selected, 1, MARCH_20)
    assert isinstance(decision, Decision)
    answer = decision.answer
    assert isinstance(answer, ReservationRefused)
    assert (answer.reason, answer.detail["have_fen"], answer.detail["shortfall_fen"]) == ("DEFICIT_NOT_COVERED", 0, 100)
    pooled = command.model_copy(update={"pooled": (1, 2)})
    async with ledger.database.transaction() as db:
        selected = await search.select(db, pooled, MARCH_20)
    decision = offset(pooled, None, selected, 1, MARCH_20)
    assert isinstance(decision, Decision)
    assert the_pairs(decision.answer) == [("M2", "F1", 100)]


async def test_of_a_promised_month_a_small_request_gets_what_is_free_and_no_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise is on the sum: whichever items the small one takes, the large one finds enough in the others."""
    few_at_once(monkeypatch)
    await promised(ledger)
    assert (await ledger.reserve(request_id=2, amount_fen=150)).total_fen == 150
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    assert answer.total_fen == 450
    assert await ledger.figures() == (0, 600, 0, 0)


async def test_of_some_products_a_large_request_takes_what_their_items_have_and_leaves_the_rest(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    for number in range(10):
        order = an_order(f"O{number}", 100)
        line = order.lines[0].model_copy(update={"product_code": "rds" if number % 2 else "ecs"})
        await ledger.bill(order.model_copy(update={"lines": (line,)}))
    assert await ledger.asked(ledger.everything(request_id=1).model_copy(update={"products": ("ecs",)})) == []
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    assert answer.total_fen == 500
    assert {number for number, places in (await ledger.places()).items() if places[1]} == {
        f"O{n}" for n in range(0, 10, 2)
    }
    await ledger.asked(ledger.everything(request_id=2).model_copy(update={"products": ("ecs",)}))
    assert await ledger.figures() == (0, 500, 500, 0)


async def test_by_amount_a_large_request_takes_the_oldest_of_all_subjects_of_the_month_it_ends_in(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    february = [an_order(f"F{n}", 100, at=MARCH_10.replace(month=2, hour=n)) for n in range(3)]
    march = [
        an_order(f"M{n}", 100, subject="ALIYUN_GOODS" if n % 3 == 2 else "ALIYUN_SERVICE", at=MARCH_10.replace(hour=n))
        for n in range(9)
    ]
    await ledger.bill(*february, *march)
    await ledger.asked(ReserveBalance(account_id=1, request_id=1, accounts=(1,), amount_fen=850))
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    left = {number: places[0] for number, places in (await ledger.places()).items() if places[0]}
    assert (answer.total_fen, left) == (850, {"M5": 50, "M6": 100, "M7": 100, "M8": 100})


async def test_a_small_request_passes_by_the_items_in_which_a_large_one_is_busy_and_waits_only_if_it_needs_them(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    await promised(ledger)
    async with ledger.database.transaction() as step:
        await step.execute("SELECT FROM item WHERE number IN ('O0', 'O1') FOR UPDATE")
        assert (await ledger.reserve(request_id=2, amount_fen=90)).total_fen == 90
    assert (await ledger.places())["O2"] == (10, 90, 0, 0)
    async with ledger.database.transaction() as step:
        await step.execute("SELECT FROM item FOR UPDATE")
        asking = asyncio.create_task(ledger.reserve(request_id=3, amount_fen=60))
        await eventually("somebody who waits", lambda: step.fetch("SELECT FROM pg_locks WHERE NOT granted"))
    assert (await asking).total_fen == 60
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    assert (answer.total_fen, await ledger.figures()) == (450, (0, 600, 0, 0))


async def test_a_small_request_chooses_again_when_a_refund_took_from_what_was_free_of_a_promised_month(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the small one had looked and before it had the sum: what is missing comes from another sum."""
    few_at_once(monkeypatch)
    await promised(ledger)
    await ledger.bill(an_order("G", 60, subject="ALIYUN_GOODS", at=MARCH_20))
    choose = search._select
    refunds = [a_refund("F1", of="O5", cash_fen=30)]

    async def chosen_and_then_refunded(*given: Any) -> Any:  # noqa: ANN401
        chosen = await choose(*given)
        if refunds:
            await ledger.bill(refunds.pop())
        return chosen

    monkeypatch.setattr(search, "_select", chosen_and_then_refunded)
    assert (await ledger.reserve(request_id=2, amount_fen=150)).total_fen == 150
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    assert (answer.total_fen, await ledger.figures()) == (450, (0, 570, 0, 0))
    assert (await ledger.places())["G"] == (30, 30, 0, 0)


async def test_a_refund_of_what_is_already_taken_is_told_while_the_rest_is_still_being_allocated(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)))
    await ledger.asked(ReserveBalance(account_id=1, request_id=1, accounts=(1,)))
    await ledger.allocated(steps=2)
    (told,) = await ledger.facts(a_refund("F1", of="O0", cash_fen=30))
    assert (type(told).__name__, getattr(told, "request_id", None)) == ("ReservationImpaired", 1)


async def test_a_large_one_that_would_print_as_too_many_lines_is_refused_and_all_of_it_is_free_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    monkeypatch.setattr(limits, "GROUPS_MAX", 3)
    for number in range(6):
        order = an_order(f"O{number}", 100)
        line = order.lines[0].model_copy(update={"spec": f"spec {number}"})
        await ledger.bill(order.model_copy(update={"lines": (line,)}))
    await ledger.asked(ledger.everything(request_id=1))
    (answer,) = await ledger.allocated()
    assert isinstance(answer, ReservationRefused)
    assert answer.reason == "SELECTION_TOO_LARGE"
    await ledger.booked()
    assert await ledger.figures() == (0, 0, 600, 0)
