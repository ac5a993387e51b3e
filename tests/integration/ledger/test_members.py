"""A managing account's request over its members: one answer, all or nothing, in the order of accounts; and filters instead of numbers."""

import pytest

from shared.contracts.billing import Line, OrderPaid
from shared.contracts.ledger import BalanceReserved, ReservationRefused, ReserveBalance
from shared.contracts.message import Message
from tests.support.examples import MARCH_10, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger

pytestmark = pytest.mark.database


def a_members_command(request_id: int = 1, **selection: object) -> ReserveBalance:
    values = {"account_id": 9, "request_id": request_id, "accounts": (1, 2)} | selection
    return ReserveBalance.model_validate(values)


def reserved(answer: Message) -> BalanceReserved:
    assert isinstance(answer, BalanceReserved), answer
    return answer


async def test_each_group_says_whose_it_is_and_the_lower_account_is_taken_first(ledger: Ledger) -> None:
    await ledger.bill(an_order("M2-O1", 700, account_id=2), an_order("M1-O1", 300, account_id=1))
    answer = reserved(await ledger.ask(a_members_command(amount_fen=500)))
    assert [(group.account_id, group.amount_fen) for group in answer.groups] == [(1, 300), (2, 200)]
    assert await ledger.places() == {"M1-O1": (0, 300, 0, 0), "M2-O1": (500, 200, 0, 0)}


async def test_one_fen_short_over_all_members_holds_nothing_of_any(ledger: Ledger) -> None:
    await ledger.bill(an_order("M1-O1", 300, account_id=1), an_order("M2-O1", 700, account_id=2))
    answer = await ledger.ask(a_members_command(amount_fen=1_001))
    assert isinstance(answer, ReservationRefused)
    assert answer.detail == {"need_fen": 1_001, "have_fen": 1_000, "shortfall_fen": 1}
    assert await ledger.places() == {"M1-O1": (300, 0, 0, 0), "M2-O1": (700, 0, 0, 0)}


async def test_a_document_of_an_account_that_is_not_a_member_is_refused(ledger: Ledger) -> None:
    await ledger.bill(an_order("M1-O1", 300, account_id=1), an_order("X", 700, account_id=3))
    answer = await ledger.ask(a_members_command(numbers=("M1-O1", "X")))
    assert isinstance(answer, ReservationRefused)
    assert (answer.reason, answer.detail["number"]) == ("ITEM_NOT_INVOICEABLE", "X")


async def in_deficit(ledger: Ledger, account_id: int, fen: int) -> None:
    """The account's D was paid, invoiced in full and refunded by `fen`."""
    await ledger.bill(an_order("D", 1_000, account_id=account_id))
    whole = reserved(await ledger.ask(a_members_command(90, accounts=(account_id,), numbers=("D",))))
    await ledger.issued(whole, part_id=90)
    await ledger.bill(a_refund("F", of="D", cash_fen=fen, account_id=account_id))


async def test_a_members_deficit_is_its_own_unless_the_relation_pools_them(ledger: Ledger) -> None:
    await in_deficit(ledger, 2, 200)
    await ledger.bill(an_order("M1-O1", 500, account_id=1), an_order("M2-O1", 50, account_id=2))
    refused = await ledger.ask(a_members_command(1))
    assert isinstance(refused, ReservationRefused)
    assert (refused.reason, refused.detail["shortfall_fen"]) == ("DEFICIT_NOT_COVERED", 150)
    answer = reserved(await ledger.ask(a_members_command(2, pooled=(1, 2))))
    (pair,) = answer.offsets
    assert (pair.account_id, pair.to_account_id, pair.from_number, pair.to_number, pair.amount_fen) == (
        *(1, 2, "M1-O1", "F"),
        200,
    )
    assert answer.total_fen == 350
    await ledger.released(request_id=2, account_id=9)
    assert await ledger.places() == {"D": (-200, 0, 1_000, 0), "M1-O1": (500, 0, 0, 0), "M2-O1": (50, 0, 0, 0)}


async def test_a_month_of_one_product_is_selected_without_naming_a_document(ledger: Ledger) -> None:
    def an_order_for(number: str, product: str, fen: int) -> OrderPaid:
        line = Line(product_code=product, cash_fen=fen)
        return OrderPaid(account_id=1, number=number, occurred_at=MARCH_10, lines=(line,))

    await ledger.bill(an_order_for("O1", "ecs", 100), an_order_for("O2", "rds", 50), an_order_for("O3", "ecs", 7))
    command = ReserveBalance(account_id=1, request_id=1, accounts=(1,), cycles=("202603",), products=("ecs",))
    answer = reserved(await ledger.ask(command, MARCH_20))
    assert (answer.total_fen, [group.count for group in answer.groups]) == (107, [2])
    assert await ledger.places() == {"O1": (0, 100, 0, 0), "O2": (50, 0, 0, 0), "O3": (0, 7, 0, 0)}
    none_left = command.model_copy(update={"request_id": 2, "cycles": ("202602",)})
    assert isinstance(await ledger.ask(none_left), ReservationRefused)
