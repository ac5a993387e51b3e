"""A deficit is paid first: by its own subject only, oldest first on both sides, to the fen, or the ask is refused with figures."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.booking import rules as booking
from services.ledger.booking.rules import Allocation, Holding, Paid
from services.ledger.booking.tasks import AtOnce, release
from services.ledger.netting.rules import Candidate, Owed, net, paid_fen
from services.ledger.reservations.rules import Decision, Repeated, Reservation, TooManyItems, offset, reserve
from services.ledger.selections.rules import Selected
from shared.contracts.ledger import (
    BalanceReserved,
    OffsetDeficit,
    ReleaseReservation,
    ReservationRefused,
    ReservationReleased,
    ReserveBalance,
)

NOW = datetime(2026, 3, 20, tzinfo=UTC)
SERVICE, GOODS = "ALIYUN_SERVICE", "ALIYUN_GOODS"


def item(item_id: int, fen: int, subject: str = SERVICE, account_id: int = 1) -> Candidate:
    return Candidate(
        account_id=account_id,
        item_id=item_id,
        number=f"O{item_id}",
        subject=subject,
        content=subject,
        tax_percent=6,
        cycle="202603",
        spec=None,
        occurred_at=NOW - timedelta(days=30) + timedelta(minutes=item_id),
        opens_at=NOW - timedelta(days=20),
        invoiceable_fen=fen,
        reserved_fen=0,
    )


def owed(item_id: int, fen: int, subject: str = SERVICE, account_id: int = 1) -> Owed:
    return Owed(account_id, item_id, f"F{item_id}", subject, fen)


def decided(outcome: Decision | Repeated | TooManyItems) -> Decision:
    assert isinstance(outcome, Decision)
    return outcome


def asked(items: list[Candidate], debts: list[Owed], amount_fen: int | None = None) -> Decision:
    ask = ReserveBalance(account_id=1, request_id=2, accounts=(1,), amount_fen=amount_fen)
    return decided(reserve(ask, None, Selected(items, debts), 3, NOW))


def pairs(decision: Decision) -> list[tuple[str, str, int]]:
    assert isinstance(decision.answer, BalanceReserved), decision.answer
    return [(one.from_number, one.to_number, one.amount_fen) for one in decision.answer.offsets]


def refusal(decision: Decision) -> tuple[str, dict[str, int | str]]:
    assert isinstance(decision.answer, ReservationRefused)
    assert decision.moves() == []
    return decision.answer.reason, decision.answer.detail


def test_five_hundred_asked_two_hundred_owed_three_hundred_held() -> None:
    decision = asked([item(2, 500)], [owed(1, 200)])
    assert pairs(decision) == [("O2", "F1", 200)]
    assert decision.answer.total_fen == 300  # type: ignore[union-attr]


def test_oldest_first_on_both_sides() -> None:
    decision = asked([item(3, 100), item(4, 300)], [owed(1, 150), owed(2, 50)])
    assert pairs(decision) == [("O3", "F1", 100), ("O4", "F1", 50), ("O4", "F2", 50)]


def test_by_amount_the_selection_covers_amount_and_deficit() -> None:
    decision = asked([item(2, 800), item(3, 700)], [owed(1, 200)], amount_fen=1000)
    assert pairs(decision) == [("O2", "F1", 200)]
    assert [(one.item.number, one.amount_fen) for one in decision.allocations] == [("O2", 600), ("O3", 400)]


def test_a_selection_equal_to_the_deficit_is_an_offset_and_no_invoice() -> None:
    decision = asked([item(2, 200)], [owed(1, 200)])
    assert isinstance(decision.answer, BalanceReserved)
    assert (decision.answer.groups, decision.answer.total_fen, len(pairs(decision))) == ((), 0, 1)


@pytest.mark.parametrize(
    ("have_fen", "amount_fen", "reason", "figures"),
    [
        (
            199,
            None,
            "DEFICIT_NOT_COVERED",
            {"subject": SERVICE, "deficit_fen": 200, "have_fen": 199, "shortfall_fen": 1},
        ),
        (
            *(1199, 1000, "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT"),
            {"need_fen": 1200, "have_fen": 1199, "shortfall_fen": 1, "deficit_fen": 200},
        ),
        (0, 1, "INSUFFICIENT_INVOICEABLE", {"need_fen": 1, "have_fen": 0, "shortfall_fen": 1}),
        (0, None, "INSUFFICIENT_INVOICEABLE", {"need_fen": 1, "have_fen": 0, "shortfall_fen": 1}),
    ],
)
def test_one_fen_short_is_refused_with_the_figures(
    have_fen: int, amount_fen: int | None, reason: str, figures: dict[str, int | str]
) -> None:
    assert refusal(asked([item(2, have_fen)], [owed(1, 200)], amount_fen)) == (reason, figures)


def test_deficits_of_other_subjects_and_accounts_are_left_alone() -> None:
    decision = asked([item(5, 500, GOODS)], [owed(1, 200), owed(2, 200, GOODS, account_id=2)])
    assert pairs(decision) == []
    assert decision.answer.total_fen == 500  # type: ignore[union-attr]


def test_each_subject_pays_its_own() -> None:
    decision = asked([item(3, 500), item(4, 100, GOODS)], [owed(1, 200), owed(2, 100, GOODS)])
    assert pairs(decision) == [("O3", "F1", 200), ("O4", "F2", 100)]
    short = asked([item(3, 500), item(4, 99, GOODS)], [owed(1, 200), owed(2, 100, GOODS)])
    assert refusal(short)[1]["subject"] == GOODS


def paying(items: list[Candidate], debts: list[Owed], amount_fen: int | None) -> Decision:
    ask = OffsetDeficit(account_id=1, request_id=2, accounts=(1,), subject=SERVICE, amount_fen=amount_fen)
    return decided(offset(ask, None, Selected(items, debts), 3, NOW))


def test_a_deficit_is_paid_exactly_as_asked_and_nothing_is_held() -> None:
    decision = paying([item(3, 500)], [owed(1, 150), owed(2, 50)], 180)
    assert pairs(decision) == [("O3", "F1", 150), ("O3", "F2", 30)]
    assert (decision.allocations, decision.answer.total_fen) == ((), 0)  # type: ignore[union-attr]
    assert paid_fen(paying([item(3, 500)], [owed(1, 150)], None).offsets) == 150


@pytest.mark.parametrize(
    ("have_fen", "deficit_fen", "amount_fen", "reason"),
    [
        (500, 200, 201, "OFFSET_ABOVE_DEFICIT"),
        (500, 0, 1, "OFFSET_ABOVE_DEFICIT"),
        (500, 0, None, "OFFSET_ABOVE_DEFICIT"),
        (199, 200, 200, "DEFICIT_NOT_COVERED"),
        (199, 200, None, "DEFICIT_NOT_COVERED"),
    ],
)
def test_more_than_is_owed_or_had_is_refused(
    have_fen: int, deficit_fen: int, amount_fen: int | None, reason: str
) -> None:
    debts = [owed(1, deficit_fen)] if deficit_fen else []
    assert refusal(paying([item(3, have_fen)], debts, amount_fen))[0] == reason


AMOUNTS = st.lists(st.integers(0, 1000), max_size=12)
SUBJECTS = st.sampled_from([SERVICE, GOODS])


@given(
    st.lists(st.tuples(st.integers(0, 1000), SUBJECTS), max_size=12),
    st.lists(st.tuples(st.integers(1, 500), SUBJECTS), max_size=5),
)
def test_no_fen_is_made_or_lost_by_netting(items: list[tuple[int, str]], debts: list[tuple[int, str]]) -> None:
    selected = [item(100 + number, fen, subject) for number, (fen, subject) in enumerate(items)]
    owing = [owed(number, fen, subject) for number, (fen, subject) in enumerate(debts)]
    offsets, left = net(selected, owing)
    assert sum(left.values()) + paid_fen(offsets) == sum(one.free_fen for one in selected)
    assert all(one.from_item.subject == one.to_item.subject for one in offsets)
    assert all(fen >= 0 for fen in left.values())
    for debt in owing:
        paid = sum(one.amount_fen for one in offsets if one.to_item is debt)
        rest = sum(left[one.item_id] for one in selected if one.subject == debt.subject)
        assert paid == debt.owed_fen or (paid < debt.owed_fen and rest == 0)


@given(AMOUNTS, AMOUNTS, st.one_of(st.none(), st.integers(1, 3000)))
def test_what_is_held_and_what_was_owed_are_what_was_free(
    amounts: list[int], debts: list[int], amount_fen: int | None
) -> None:
    selected = [item(100 + number, fen) for number, fen in enumerate(amounts)]
    owing = [owed(number, fen) for number, fen in enumerate(debts) if fen]
    decision = asked(selected, owing, amount_fen)
    have_fen, deficit_fen = sum(amounts), sum(debts)
    if isinstance(decision.answer, ReservationRefused):
        assert have_fen < max(deficit_fen + (amount_fen or 0), 1)
        return
    wanted = have_fen - deficit_fen if amount_fen is None else amount_fen
    assert isinstance(decision.answer, BalanceReserved)
    assert (decision.answer.total_fen, paid_fen(decision.offsets)) == (wanted, deficit_fen)
    spent: dict[int, int] = {}
    for move in decision.moves():
        if move.from_bucket == "invoiceable":
            spent[move.item_id] = spent.get(move.item_id, 0) + move.amount_fen
    assert all(spent.get(one.item_id, 0) <= one.free_fen for one in selected)


INSTRUCTION = release(ReleaseReservation(account_id=1, request_id=2), Reservation(4, large=False, answered=True))
assert isinstance(INSTRUCTION, AtOnce)
RELEASE = INSTRUCTION.task
PAID = [Paid(1, 7, 1, 8, 50)]


def test_a_request_that_comes_to_nothing_takes_its_offsets_back() -> None:
    made = booking.book(RELEASE, Holding([Allocation(1, 7, 1, 0, 100, 0, 0)], PAID))
    assert made.undone
    assert [(one.item_id, one.from_bucket, one.to_bucket, one.amount_fen) for one in made.moves] == [
        (7, "reserved", "invoiceable", 100),
        (8, "invoiceable", "offset", 50),
        (7, "offset", "invoiceable", 50),
    ]


def test_once_something_was_invoiced_its_offsets_stay() -> None:
    made = booking.book(RELEASE, Holding([Allocation(1, 7, 1, 0, 100, 60, 0)], PAID))
    assert not made.undone
    assert [one.amount_fen for one in made.moves] == [40]


def test_an_offset_without_invoice_can_be_taken_back_as_a_whole() -> None:
    made = booking.book(RELEASE, Holding([], PAID))
    (answer,) = booking.said(RELEASE, made.moved_fen)
    assert isinstance(answer, ReservationReleased)
    assert (made.undone, answer.released_fen) == (True, 0)


def across(items: list[Candidate], debts: list[Owed], *pooled: int) -> Decision:
    ask = ReserveBalance(account_id=9, request_id=2, accounts=(1, 2), pooled=pooled)
    return decided(reserve(ask, None, Selected(items, debts, pooled=frozenset(pooled)), 3, NOW))


def test_members_whose_relation_allows_it_pay_each_others_deficits_and_others_do_not() -> None:
    items = [item(3, 500, account_id=1), item(4, 10, account_id=2)]
    debts = [owed(1, 200, account_id=2)]
    assert refusal(across(items, debts))[0] == "DEFICIT_NOT_COVERED"
    paid = across(items, debts, 1, 2)
    assert isinstance(paid.answer, BalanceReserved)
    (pair,) = paid.answer.offsets
    assert (pair.account_id, pair.to_account_id, pair.amount_fen) == (1, 2, 200)
    assert paid.answer.total_fen == 310
    assert [(one.account_id, one.from_bucket, one.to_bucket) for one in paid.moves()[:2]] == [
        (1, "invoiceable", "offset"),
        (2, "offset", "invoiceable"),
    ]
