"""Every reserved fen is in exactly one part, whatever the groups and their order."""

from collections import defaultdict
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.invoicing.domain.splitting import Started, plan, split
from shared.contracts.ledger import BalanceReserved, Group, ReleaseReservation
from shared.domain.catalogue import Catalogue
from shared.domain.tax import split_gross

CATALOGUE = Catalogue.load()
AT = datetime(2026, 3, 10, tzinfo=UTC)
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
    for part in split(answer, "general", CATALOGUE, line_cap):
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
    amounts_of = [(one.subject, one.gross_fen, one.net_fen) for one in split(answer, "general", CATALOGUE)]
    assert [(one.subject, one.gross_fen, one.net_fen) for one in split(other, "general", CATALOGUE)] == amounts_of


@given(AMOUNTS)
def test_one_part_for_each_subject_and_rate(amounts: list[tuple[str, str | None, int]]) -> None:
    parts = split(reserved(amounts), "special", CATALOGUE)
    subjects = [part.subject for part in parts]
    assert len(subjects) == len(set(subjects))
    assert all(part.legal_entity == CATALOGUE.subjects[part.subject].legal_entity for part in parts)


def test_a_request_cancelled_meanwhile_gives_back_and_a_stale_answer_changes_nothing() -> None:
    answer = reserved([("ALIYUN/soft", None, 100)])
    assert plan(answer, None, CATALOGUE) == ([], [])
    parts, messages = plan(answer, Started("general", "voided"), CATALOGUE)
    assert parts == []
    assert isinstance(messages[0], ReleaseReservation)
