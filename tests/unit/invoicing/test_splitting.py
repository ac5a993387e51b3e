"""Every reserved fen is in exactly one part, whatever the groups and their order."""

from collections import defaultdict
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.invoicing.issuing.splitting import plan, split
from services.invoicing.requests.rules import Started
from shared.contracts.ledger import BalanceReserved, Group, ReleaseReservation
from shared.domain.catalogue import Catalogue
from shared.domain.tax import split_gross

CATALOGUE = Catalogue.load()
AT = datetime(2026, 3, 10, tzinfo=UTC)
PLAIN = Started("general", "invoicing", consolidate=False, one_invoice_per_month=False)
CONTENTS = sorted(CATALOGUE.contents)


def reserved(amounts: list[tuple[str, str | None, int]]) -> BalanceReserved:
    groups = []
    for number, (content, spec, amount_fen) in enumerate(amounts, 1):
        subject = CATALOGUE.subjects[CATALOGUE.contents[content].subject]
        values = {
            "group_no": number,
            "account_id": 1,
            "subject": subject.key,
            "content": content,
            "spec": spec,
            "cycle": "202603",
        }
        figures = {"tax_percent": subject.tax_percent, "count": 1, "amount_fen": amount_fen, "oldest_at": AT}
        groups.append(Group.model_validate(values | figures))
    total_fen = sum(amount for _, _, amount in amounts)
    return BalanceReserved(account_id=1, request_id=2, reservation_id=3, groups=tuple(groups), total_fen=total_fen)


AMOUNTS = st.lists(
    st.tuples(st.sampled_from(CONTENTS), st.sampled_from([None, "标准版"]), st.integers(1, 10**9)),
    min_size=1,
    max_size=20,
)


@given(AMOUNTS, st.integers(1, 5))
def test_shares_and_lines_add_up_to_what_was_reserved(
    amounts: list[tuple[str, str | None, int]], line_cap: int
) -> None:
    answer = reserved(amounts)
    taken: dict[int, int] = defaultdict(int)
    for part in split(answer, PLAIN, CATALOGUE, line_cap):
        assert len(part.lines) <= line_cap
        assert part.gross_fen == part.net_fen + part.tax_fen == sum(share.amount_fen for share in part.shares)
        for line in part.lines:
            tax = split_gross(line.gross_fen, part.tax_percent)
            assert (line.net_fen, line.tax_fen) == (tax.net_fen, tax.tax_fen)
        for share in part.shares:
            taken[share.group_no] += share.amount_fen
    assert taken == {group.group_no: group.amount_fen for group in answer.groups}


@given(AMOUNTS, st.randoms(use_true_random=False))
def test_the_order_of_groups_does_not_matter(amounts: list[tuple[str, str | None, int]], random: object) -> None:
    answer = reserved(amounts)
    shuffled = list(answer.groups)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = answer.model_copy(update={"groups": tuple(shuffled)})
    amounts_of = [(one.subject, one.gross_fen, one.net_fen) for one in split(answer, PLAIN, CATALOGUE)]
    assert [(one.subject, one.gross_fen, one.net_fen) for one in split(other, PLAIN, CATALOGUE)] == amounts_of


@given(AMOUNTS)
def test_one_part_for_each_subject_and_rate(amounts: list[tuple[str, str | None, int]]) -> None:
    parts = split(reserved(amounts), PLAIN, CATALOGUE)
    subjects = [part.subject for part in parts]
    assert len(subjects) == len(set(subjects))
    assert all(part.legal_entity == CATALOGUE.subjects[part.subject].legal_entity for part in parts)


def test_a_request_cancelled_meanwhile_gives_back_and_a_stale_answer_changes_nothing() -> None:
    answer = reserved([("ALIYUN/soft", None, 100)])
    assert plan(answer, None, CATALOGUE) == ([], [])
    parts, messages = plan(answer, replace(PLAIN, status="voided"), CATALOGUE)
    assert parts == []
    assert isinstance(messages[0], ReleaseReservation)


def of_members(*groups: tuple[int, str, int]) -> BalanceReserved:
    """Account, month and sum of each group."""
    plain = reserved([("ALIYUN/soft", None, fen) for _, _, fen in groups])
    owned = [
        group.model_copy(update={"account_id": account_id, "cycle": cycle})
        for group, (account_id, cycle, _) in zip(plain.groups, groups, strict=True)
    ]
    return plain.model_copy(update={"groups": tuple(owned)})


def figures(answer: BalanceReserved, wanted: Started) -> list[tuple[tuple[int, ...], tuple[str, ...], int, int]]:
    return [(one.members, one.cycles, one.net_fen, one.tax_fen) for one in split(answer, wanted, CATALOGUE)]


def test_members_apart_or_consolidated_have_the_same_gross_and_another_fen_of_tax() -> None:
    answer = of_members((1, "202603", 33_333), (2, "202603", 66_667))
    assert figures(answer, PLAIN) == [((1,), ("202603",), 31_446, 1_887), ((2,), ("202603",), 62_893, 3_774)]
    assert figures(answer, replace(PLAIN, consolidate=True)) == [((1, 2), ("202603",), 94_340, 5_660)]


def test_months_are_together_unless_one_invoice_for_each_is_wanted() -> None:
    answer = of_members((1, "202601", 100), (1, "202602", 200))
    assert [cycles for _, cycles, _, _ in figures(answer, PLAIN)] == [("202601", "202602")]
    apart = replace(PLAIN, one_invoice_per_month=True)
    assert [cycles for _, cycles, _, _ in figures(answer, apart)] == [("202601",), ("202602",)]


def test_so_many_small_lines_that_rounding_would_be_refused_are_merged() -> None:
    """400 lines of 0.27 are 0.25 + 0.02 each: added up, the tax is off by more than 1.27 (R-11)."""
    (part,) = split(reserved([("ALIYUN/soft", f"规格-{number:05d}", 27) for number in range(400)]), PLAIN, CATALOGUE)
    assert (part.gross_fen, part.net_fen, part.tax_fen) == (10_800, 10_189, 611)
    assert [(line.spec, line.gross_fen) for line in part.lines] == [(None, 10_800)]
    assert len(part.shares) == 400


def test_specs_are_shown_as_long_as_the_tolerances_allow() -> None:
    (part,) = split(reserved([("ALIYUN/soft", f"规格-{number}", 106) for number in range(400)]), PLAIN, CATALOGUE)
    assert len({line.spec for line in part.lines}) == 400


def test_a_seller_with_a_limit_of_its_invoices_fills_each_but_the_last() -> None:
    """R-6: 250.00 of net at most; the line that does not fit goes on in the next invoice, and so does what pays for it."""
    capped = copy(CATALOGUE)
    entity = CATALOGUE.subjects[CATALOGUE.contents["ALIYUN/soft"].subject].legal_entity
    capped.legal_entities = CATALOGUE.legal_entities | {
        entity: replace(CATALOGUE.legal_entities[entity], net_cap_fen=25_000)
    }
    parts = split(reserved([("ALIYUN/soft", "甲", 21_200), ("ALIYUN/soft", "乙", 42_400)]), PLAIN, capped)
    assert [part.net_fen for part in parts] == [25_000, 25_000, 10_000]
    assert [[(share.group_no, share.amount_fen) for share in part.shares] for part in parts] == [
        [(1, 21_200), (2, 5_300)],
        [(2, 26_500)],
        [(2, 10_600)],
    ]
    assert [[line.spec for line in part.lines] for part in parts] == [["甲", "乙"], ["乙"], ["乙"]]
