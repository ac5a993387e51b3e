"""A reservation is exact or refused, never over-allocates, and what is booked never exceeds what was reserved."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.booking import rules as booking
from services.ledger.booking.rules import Allocation, Holding
from services.ledger.booking.tasks import part_task
from services.ledger.journal import limits
from services.ledger.journal.limits import GROUPS_MAX, OFFSETS_MAX
from services.ledger.netting.rules import Candidate, Owed
from services.ledger.reservations.rules import Decision, Repeated, reserve
from services.ledger.selections.rules import Selected
from shared.contracts.invoicing import InvoiceVoided, Share
from shared.contracts.ledger import BalanceReserved, Group, OffsetPair, ReservationRefused, ReserveBalance
from shared.contracts.message import DOCUMENT_FEN_MAX, LARGEST_ID
from shared.domain.catalogue import Catalogue
from shared.runtime import envelope
from shared.runtime.outbox import VALUE_MAX_BYTES

NOW = datetime(2026, 3, 20, tzinfo=UTC)


def items(amounts: list[int]) -> list[Candidate]:
    return [
        Candidate(
            account_id=1,
            item_id=number,
            number=f"O{number}",
            subject=("ALIYUN_SERVICE", "ALIYUN_GOODS")[number % 2],
            content=("ALIYUN/soft", "ALIYUN/hw")[number % 2],
            tax_percent=(6, 13)[number % 2],
            cycle="202603",
            spec=None,
            occurred_at=NOW - timedelta(days=30 - number),
            opens_at=NOW - timedelta(days=20),
            invoiceable_fen=amount,
            reserved_fen=0,
        )
        for number, amount in enumerate(amounts)
    ]


def decided(ask: ReserveBalance, selected: Selected) -> Decision:
    outcome = reserve(ask, None, selected, 3, NOW)
    assert isinstance(outcome, Decision)
    return outcome


def decide(amounts: list[int], amount_fen: int | None) -> Decision:
    ask = ReserveBalance(account_id=1, request_id=2, accounts=(1,), amount_fen=amount_fen)
    return decided(ask, Selected(items(amounts), []))


AMOUNTS = st.lists(st.integers(0, 10**6), max_size=30)


@given(AMOUNTS, st.one_of(st.none(), st.integers(1, 3 * 10**7)))
def test_all_or_nothing_and_never_more_than_there_is(amounts: list[int], amount_fen: int | None) -> None:
    decision = decide(amounts, amount_fen)
    have = sum(amounts)
    if isinstance(decision.answer, ReservationRefused):
        assert decision.allocations == ()
        assert have < (amount_fen or 1)
        return
    assert isinstance(decision.answer, BalanceReserved)
    total = sum(one.amount_fen for one in decision.allocations)
    assert total == decision.answer.total_fen == (have if amount_fen is None else amount_fen)
    assert all(0 < one.amount_fen <= one.item.invoiceable_fen for one in decision.allocations)
    assert sum(group.amount_fen for group in decision.answer.groups) == total


@given(AMOUNTS, st.integers(1, 10**6))
def test_the_oldest_are_taken_first(amounts: list[int], amount_fen: int) -> None:
    decision = decide(amounts, amount_fen)
    if isinstance(decision.answer, BalanceReserved):
        whole = [one.item.item_id for one in decision.allocations if one.amount_fen == one.item.invoiceable_fen]
        partly = [one.item.item_id for one in decision.allocations if one.amount_fen < one.item.invoiceable_fen]
        assert len(partly) <= 1
        assert all(last > max(whole, default=-1) for last in partly)


def test_an_earlier_answer_is_repeated_whatever_has_changed() -> None:
    first = decide([100], None)
    ask = ReserveBalance(account_id=1, request_id=2, accounts=(1,), amount_fen=5)
    assert reserve(ask, Repeated((first.answer,)), Selected([], []), 99, NOW) == Repeated((first.answer,))


def test_what_holds_more_items_than_one_transaction_takes_is_booked_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last look at items may bring some more than that."""
    monkeypatch.setattr(limits, "ITEMS_MAX", 3)
    assert [decide([10] * count, 10 * count).large for count in (3, 4)] == [False, True]


def a_part(shares: list[Share]) -> InvoiceVoided:
    values = {
        "account_id": 1,
        "request_id": 2,
        "part_id": 3,
        "reservation_id": 4,
        "subject": "S",
        "legal_entity": "E",
        "content": "C",
    }
    gross_fen = sum(share.amount_fen for share in shares)
    figures = {
        "tax_percent": 6,
        "kind": "general",
        "gross_fen": gross_fen,
        "net_fen": gross_fen,
        "tax_fen": 0,
        "reason": "X",
    }
    return InvoiceVoided.model_validate(values | figures | {"shares": shares})


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.data())
def test_what_is_booked_is_what_the_part_says_and_never_more_than_was_held(
    reserved: list[int], data: st.DataObject
) -> None:
    held = [Allocation(1, number, 1, number, amount, 0, 0) for number, amount in enumerate(reserved)]
    amount_fen = data.draw(st.integers(1, sum(reserved)))
    part = a_part([Share(group_no=1, amount_fen=amount_fen)])
    task = part_task(None, "issued", part)
    assert task is not None
    booked = booking.book(task, Holding(held))
    assert sum(move.amount_fen for move in booked.moves) == amount_fen
    assert all(one.invoiced_fen <= reserved[one.place] for one in booked.changes)
    assert part_task("issued", "issued", part) is None
    assert part_task("issued", "released", part) is None


def test_a_late_document_takes_back_what_was_released() -> None:
    released = Holding([Allocation(1, 7, 1, 0, 100, 0, 100)])
    task = part_task("released", "issued", a_part([Share(group_no=1, amount_fen=100)]))
    assert task is not None
    (move,) = booking.book(task, released).moves
    assert (move.from_bucket, move.to_bucket, move.amount_fen) == ("invoiceable", "invoiced", 100)


def test_an_answer_that_would_print_as_too_many_lines_is_refused() -> None:
    found = [one._replace(spec=f"spec {one.item_id}") for one in items([100] * (GROUPS_MAX + 1))]
    ask = ReserveBalance(account_id=1, request_id=2, accounts=(1,))
    refused = decided(ask, Selected(found, [])).answer
    assert isinstance(refused, ReservationRefused)
    assert (refused.reason, refused.detail) == ("SELECTION_TOO_LARGE", {"groups_max": GROUPS_MAX})
    assert isinstance(decided(ask, Selected(found[1:], [])).answer, BalanceReserved)


def test_deficits_that_too_many_items_would_pay_are_refused_with_what_one_offset_can_settle() -> None:
    owed = [
        Owed(account_id=1, item_id=10_000 + number, subject="ALIYUN_SERVICE", owed_fen=2, number=f"F{number}")
        for number in range(GROUPS_MAX + 1)
    ]
    ask = ReserveBalance(account_id=1, request_id=2, accounts=(1,))
    refused = decided(ask, Selected(items([2000]), owed)).answer
    assert isinstance(refused, ReservationRefused)
    assert (refused.reason, refused.detail) == (
        "SELECTION_TOO_LARGE",
        {"offsets": GROUPS_MAX + 1, "offsets_max": GROUPS_MAX, "payable_fen": 2 * GROUPS_MAX},
    )


def test_a_deficit_of_one_of_several_accounts_is_refused_with_that_account() -> None:
    ask = ReserveBalance(account_id=9, request_id=2, accounts=(1, 2))
    debt = Owed(account_id=1, item_id=77, subject="ALIYUN_SERVICE", owed_fen=101, number="F")
    refused = decided(ask, Selected(items([100]), [debt])).answer
    assert isinstance(refused, ReservationRefused)
    assert (refused.reason, refused.detail["owing_account_id"]) == ("DEFICIT_NOT_COVERED", 1)


def test_the_largest_answer_fits_into_a_message() -> None:
    catalogue = Catalogue.load()
    subject, content = (max(keys, key=len) for keys in (catalogue.subjects, catalogue.contents))
    group = Group(
        group_no=GROUPS_MAX,
        account_id=LARGEST_ID,
        subject=subject,
        content=content,
        tax_percent=13,
        cycle="202603",
        spec="\x01" * 200,
        count=LARGEST_ID,
        amount_fen=DOCUMENT_FEN_MAX,
        oldest_at=NOW.replace(microsecond=123456),
    )
    pair = OffsetPair(
        account_id=LARGEST_ID,
        to_account_id=LARGEST_ID,
        subject=subject,
        from_number="N" * 64,
        to_number="N" * 64,
        amount_fen=DOCUMENT_FEN_MAX,
    )
    largest = BalanceReserved(
        account_id=LARGEST_ID,
        request_id=LARGEST_ID,
        reservation_id=LARGEST_ID,
        groups=(group,) * GROUPS_MAX,
        total_fen=2**62,
        offsets=(pair,) * OFFSETS_MAX,
    )
    assert len(envelope.write(largest, uuid4(), "/ledger", NOW, None).value) <= VALUE_MAX_BYTES
