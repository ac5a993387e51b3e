"""Where a search looks next, and what it locks: enough and no more, in chunks that grow while nothing is known of the items."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.journal import limits
from services.ledger.journal.sums import SumKey
from services.ledger.netting.rules import POOL, Candidate, Owed
from services.ledger.selections import rules
from services.ledger.selections.rules import FreeMonth, Search, SeenItem, Walk
from shared.contracts.ledger import ReserveBalance

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
SERVICE, GOODS = "ALIYUN_SERVICE", "ALIYUN_GOODS"
WAITING, PASSING_BY = rules.EVERYWHERE, Walk(rules.EVERYWHERE.begins_at, rules.EVERYWHERE.ends_at, passes_by=True)


def key(subject: str = SERVICE) -> SumKey:
    return SumKey(1, subject, "202603", subject, MARCH)


def seen(*amounts: int, subject: str = SERVICE) -> list[SeenItem]:
    return [
        SeenItem(number, *key(subject), fen, MARCH + timedelta(minutes=number)) for number, fen in enumerate(amounts, 1)
    ]


def locked(*items: SeenItem) -> list[Candidate]:
    return [
        Candidate(
            one.account_id,
            one.item_id,
            f"O{one.item_id}",
            one.subject,
            one.content,
            6,
            one.cycle,
            None,
            one.occurred_at,
            one.opens_at,
            one.invoiceable_fen,
            0,
        )
        for one in items
    ]


def asking(**more: object) -> ReserveBalance:
    return ReserveBalance.model_validate({"account_id": 1, "request_id": 1, "accounts": (1,)} | more)


def test_no_more_is_locked_than_seems_to_suffice() -> None:
    choice = Search(250, {}).choose(seen(100, 100, 100, 100), WAITING)
    assert (choice.item_ids, choice.items_max, choice.after[1]) == ([1, 2, 3], 3, 3)


def test_where_locked_items_are_passed_by_any_that_were_seen_will_do() -> None:
    choice = Search(250, {}).choose(seen(100, 100, 100, 100), PASSING_BY)
    assert (choice.item_ids, choice.items_max, choice.after[1]) == ([1, 2, 3, 4], 3, 4)


def test_what_was_found_before_is_not_locked_again_and_counts() -> None:
    items = seen(100, 100, 100, 100)
    search = Search(250, {}).having(locked(items[0]))
    choice = search.choose(items[1:], WAITING)
    assert (search.have_fen, choice.item_ids) == (100, [2, 3])


def test_of_a_promised_sum_no_more_is_used_than_is_free_of_it() -> None:
    items = seen(100, 100, 100)
    search = Search(None, {key(): 150})
    assert search.choose(items, WAITING).item_ids == [1, 2]
    search = search.having(locked(*items[:2]))
    assert (search.have_fen, search.used_up(1), search.used_up(2)) == (150, [key()], [])


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(1, 3000))
def test_what_is_chosen_suffices_and_without_its_last_would_not(amounts: list[int], need_fen: int) -> None:
    items = seen(*amounts)
    chosen = Search(need_fen, {}).choose(items, WAITING).item_ids
    have = [item.invoiceable_fen for item in items if item.item_id in chosen]
    assert sum(have) >= min(need_fen, sum(amounts))
    assert sum(have[:-1]) < need_fen


@pytest.mark.parametrize(
    ("need_fen", "there_is_fen", "more"),
    [(100, math.inf, False), (101, math.inf, True), (101, 100, False), (None, 100, False), (None, math.inf, True)],
)
def test_it_ends_when_there_is_enough_or_no_more_is_to_be_found(
    need_fen: int | None, there_is_fen: float, more: bool
) -> None:
    assert Search(need_fen, {}).having(locked(*seen(100))).wants_more(there_is_fen) is more


def test_it_ends_when_there_are_more_items_than_one_transaction_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ITEMS_MAX", 3)
    items = seen(1, 1, 1, 1)
    assert Search(None, {}).having(locked(*items[:3])).wants_more(math.inf)
    assert not Search(None, {}).having(locked(*items)).wants_more(math.inf)


def test_chunks_grow_until_what_is_known_says_how_many_are_missing() -> None:
    nothing_known = Search(100_000, {}).having([])
    assert nothing_known.chunk_items == limits.CHUNK_FIRST * limits.CHUNK_GROWS
    assert nothing_known.having(locked(*seen(*[100] * 100))).chunk_items == 900 + 900 // 8
    assert Search(10**9, {}).having(locked(*seen(1))).chunk_items == limits.CHUNK_MAX


def test_only_what_names_a_month_or_subject_or_is_promised_is_looked_for_by_month() -> None:
    assert not rules.goes_by_month(asking(), 1, {})
    assert rules.goes_by_month(asking(subject=SERVICE), 1, {})
    assert rules.goes_by_month(asking(cycles=("202603",)), 1, {})
    assert rules.goes_by_month(asking(), 1, {key(): 5})
    assert not rules.goes_by_month(asking(), 2, {key(): 5})


@pytest.mark.parametrize(("promised", "passing"), [(False, [False, False]), (True, [True, True, False, False])])
def test_months_come_in_order_then_everything_and_beside_promises_first_without_waiting(
    promised: bool, passing: list[bool]
) -> None:
    plan = rules.month_by_month([FreeMonth("202602", 70), FreeMonth("202603", 30)], promised)
    assert [walk.passes_by for walk in plan.walks] == [*passing, False]
    assert (plan.walks[-1], plan.there_is_fen) == (rules.EVERYWHERE, 100)
    assert [walk.begins_at.month for walk in plan.walks[:2]] == [2, 3]


def test_deficits_are_paid_by_their_own_account_and_subject_or_by_the_pool() -> None:
    owed = [Owed(1, 7, "F7", SERVICE, 30), Owed(2, 8, "F8", SERVICE, 5), Owed(3, 9, "F9", GOODS, 1)]
    found = rules.payers(asking(accounts=(1, 2, 3), pooled=(1, 2)), owed)
    assert [(one.accounts, one.subject, fen) for one, fen in found] == [((1, 2), SERVICE, 35), ((3,), GOODS, 1)]
    assert POOL not in {account for one, _ in found for account in one.accounts}
