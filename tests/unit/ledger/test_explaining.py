"""The arithmetic of an explanation adds up whatever items hold, and a document that can't be invoiced says why."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.v1.reads import READS
from services.ledger.explanation import store as statements
from services.ledger.explanation.rules import TERMS, Cause, cause_of, explain
from services.ledger.items.rules import REASONS, ItemBuckets, why_not, why_not_usage
from services.ledger.journal.rules import NEVER

NOW = datetime(2026, 3, 20, tzinfo=UTC)
LATER = datetime(2026, 4, 2, 16, tzinfo=UTC)
Fen = st.integers(0, 10**12)


@st.composite
def items(draw: st.DrawFn) -> dict[str, int]:
    """The parts of one item, as the statement counts them."""
    settled, voucher, discount = draw(Fen), draw(Fen), draw(st.integers(-1000, 10**6))
    opens = draw(st.sampled_from(["open", "not_open_yet", "others_invoice"]))
    part = dict.fromkeys([*TERMS, "settled", "consumed", "positive", "negative"], 0)
    part |= {
        "list_price": settled + voucher + discount,
        "vouchers": -voucher,
        "discounts": -discount,
        "settled": settled,
    }
    if opens != "open":
        return part | {opens: -settled}
    refunded, invoiced, reserved = draw(st.integers(0, settled)), draw(Fen), draw(Fen)
    offset = draw(st.integers(-(10**9), 10**9))
    left = settled - refunded - invoiced - reserved - offset
    return part | {
        "consumed": settled,
        "refunds": -refunded,
        "invoiced": -invoiced,
        "in_progress": -reserved,
        "offset_cost": -max(offset, 0),
        "offset_accept": max(-offset, 0),
        "positive": max(left, 0),
        "negative": min(left, 0),
    }


@given(st.lists(items(), max_size=20), Fen)
def test_the_terms_add_up_to_available_less_deficit(found: list[dict[str, int]], promised: int) -> None:
    parts = {name: sum(one[name] for one in found) for name in (*TERMS, "settled", "consumed", "positive", "negative")}
    parts |= {"in_allocation": -min(promised, parts["positive"])}
    told = explain(parts)
    assert [line.term for line in told.lines] == list(TERMS)
    assert sum(line.fen for line in told.lines) == told.lines[-1].left_fen == told.invoiceable_net_fen
    assert told.available_fen - told.deficit_fen == told.invoiceable_net_fen
    left = {line.term: line.left_fen for line in told.lines}
    assert (left["discounts"], left["others_invoice"]) == (told.settled_fen, told.consumed_fen)
    assert min(told.available_fen, told.deficit_fen) >= 0


@pytest.mark.parametrize("part", ["list_price", "refunds", "settled", "consumed", "positive", "negative"])
def test_what_does_not_add_up_is_a_bug_and_not_an_answer(part: str) -> None:
    parts = dict.fromkeys([*TERMS, "settled", "consumed", "positive", "negative"], 0)
    with pytest.raises(AssertionError):
        explain(parts | {part: 1})


def test_every_term_has_its_statement_and_its_page_at_the_gateway() -> None:
    assert [*statements.TERMS, "in_allocation"] == [term for term in TERMS if term != "in_allocation"] + [
        "in_allocation"
    ]
    assert {f"/explanation/{term}" for term in TERMS} <= READS.keys()


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        ("refund F1/1", Cause("refund", "F1", 1)),
        ("refund F/1/2/3", Cause("refund", "F/1/2", 3)),
        ("request 7", Cause("request", "7")),
        ("part 12", Cause("part", "12")),
        ("credit of part 12", Cause("credit", "12")),
        ("release of request 7", Cause("release", "7")),
    ],
)
def test_a_cause_is_read_as_it_was_written(written: str, cause: Cause) -> None:
    assert cause_of(written) == cause


def standing(
    settled: int = 100,
    refunded: int = 0,
    reserved: int = 0,
    invoiced: int = 0,
    offset: int = 0,
    opens_at: datetime = NOW,
) -> ItemBuckets:
    left = settled - refunded - reserved - invoiced - offset
    return ItemBuckets(opens_at, settled, refunded, left, reserved, invoiced, offset)


@pytest.mark.parametrize(
    ("item", "by", "reason"),
    [
        (standing(), "platform", None),
        (standing(invoiced=60), "platform", None),
        (standing(opens_at=NEVER), "vendor", "VENDOR_INVOICES_IT"),
        (standing(opens_at=NEVER), "nobody", "NOBODY_INVOICES_IT"),
        (standing(settled=0), "platform", "NOTHING_PAID_IN_CASH"),
        (standing(settled=0, opens_at=LATER), "platform", "NOTHING_PAID_IN_CASH"),
        (standing(refunded=100), "platform", "REFUNDED"),
        (standing(refunded=100, invoiced=100), "platform", "IN_DEFICIT"),
        (standing(opens_at=LATER), "platform", "NOT_OPEN_YET"),
        (standing(refunded=100, opens_at=LATER), "platform", "REFUNDED"),
        (standing(reserved=60, invoiced=40), "platform", "RESERVED"),
        (standing(invoiced=100), "platform", "INVOICED"),
        (standing(invoiced=60, offset=40), "platform", "INVOICED"),
        (standing(offset=100), "platform", "PAID_A_DEFICIT"),
        (standing(refunded=100, invoiced=100, offset=-100), "platform", "REFUNDED"),
    ],
)
def test_the_first_reason_that_holds_is_given(item: ItemBuckets, by: str, reason: str | None) -> None:
    why = why_not(item, by, NOW)
    assert (why and why.reason) == reason
    assert (item.can_invoice_fen(NOW) > 0) == (reason is None)
    if why is not None:
        assert why.text == REASONS[why.reason]
        assert why.earliest_at == (LATER if reason == "NOT_OPEN_YET" else None)


def test_usage_waits_for_its_bill_and_then_is_in_it() -> None:
    assert why_not_usage(LATER, billed=False).earliest_at == LATER
    assert [why_not_usage(LATER, billed).reason for billed in (False, True)] == ["BILL_NOT_SETTLED", "IN_ITS_BILL"]
