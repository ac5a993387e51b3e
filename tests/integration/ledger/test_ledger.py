"""The ledger's handlers on real PostgreSQL: done, refused, ignored; in any order; and many at once."""

import asyncio
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from services.ledger.balances import store as pages
from services.ledger.journal import limits
from services.ledger.selections import store as selections
from shared.contracts.ledger import BalanceReserved, ReservationImpaired
from shared.domain.calendar import SHANGHAI
from tests.integration.ledger.checking import violations
from tests.support.examples import MARCH_10, a_bill, a_command, a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger, few_at_once

pytestmark = pytest.mark.database


async def test_an_order_is_invoiceable_at_once_and_counts_once(ledger: Ledger) -> None:
    assert await ledger.bill(an_order(), an_order()) == []
    assert await ledger.bill(an_order()) == []
    assert await ledger.figures() == (0, 0, 100_000, 0)


async def test_the_same_number_with_other_content_is_parked(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    assert await ledger.bill(an_order(cash_fen=90_000), an_order("O2", 1)) == ["CONTENT_CONFLICT"]
    assert await ledger.figures() == (0, 0, 100_001, 0)


async def test_a_product_without_a_row_is_parked_and_the_rest_goes_on(ledger: Ledger) -> None:
    order = an_order("O9").model_dump()
    order["lines"] = [{"product_code": "no_such_thing", "cash_fen": 5}]
    assert await ledger.bill(type(an_order()).model_validate(order), an_order()) == ["NO_CATALOGUE_ROW"]
    assert await ledger.figures() == (0, 0, 100_000, 0)


async def test_a_bill_opens_on_the_third(ledger: Ledger) -> None:
    await ledger.bill(a_bill(cycle="202603"), now=datetime(2026, 4, 1, tzinfo=SHANGHAI))
    third = datetime(2026, 4, 3, tzinfo=SHANGHAI)
    assert await ledger.balance(third - timedelta(seconds=1)) is None
    opened = await ledger.balance(third)
    assert opened is not None
    assert opened.available_fen == 100_000
    assert (await ledger.refusal("B1", now=third - timedelta(seconds=1))).reason == "ITEM_NOT_INVOICEABLE"


async def test_a_refund_lowers_its_order_in_whatever_order_they_come(ledger: Ledger) -> None:
    for number, facts in enumerate(permutations([an_order(), a_refund(), a_refund("F2", cash_fen=1)])):
        moved = [fact.model_copy(update={"account_id": 1000 + number}) for fact in facts]
        for fact in moved:
            await ledger.bill(fact)
        await ledger.bill(*moved)
        async with ledger.database.read() as db:
            (sums,) = await pages.sums(db, 1000 + number, MARCH_20)
        assert (sums.refunded_fen, sums.positive_fen) == (20_001, 79_999)


async def test_a_refund_waits_for_its_order_and_counts_nowhere(ledger: Ledger) -> None:
    await ledger.bill(a_refund())
    assert await ledger.balance() is None
    assert (await ledger.refusal("F1")).reason == "NEGATIVE_SELECTED_ALONE"


async def test_a_reservation_is_exact_oldest_first(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1", 80_000), an_order("O2", 70_000, at=MARCH_10 + timedelta(days=1)))
    reserved = await ledger.reserve(amount_fen=100_000)
    assert reserved.total_fen == 100_000
    async with ledger.database.read() as db:
        rows = await db.fetch("SELECT number, reserved_fen FROM item ORDER BY number")
    assert [tuple(row) for row in rows] == [("O1", 80_000), ("O2", 20_000)]


async def test_one_fen_too_many_is_refused_with_the_figures(ledger: Ledger) -> None:
    await ledger.bill(an_order(cash_fen=150_000))
    refused = await ledger.refusal(amount_fen=150_001)
    assert refused.reason == "INSUFFICIENT_INVOICEABLE"
    assert refused.detail == {"need_fen": 150_001, "have_fen": 150_000, "shortfall_fen": 1}


async def test_a_document_held_by_another_request_is_locked(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    await ledger.reserve("O1")
    assert (await ledger.refusal("O1", request_id=2)).reason == "ITEM_LOCKED"


async def test_an_unknown_document_is_named(ledger: Ledger) -> None:
    assert (await ledger.refusal("O404")).detail == {"number": "O404", "why": "UNKNOWN_DOCUMENT"}


async def test_a_refund_named_beside_its_original_is_forced_in_with_it(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1", 100), an_order("O2", 50), a_refund("F1", of="O1", cash_fen=30))
    assert (await ledger.reserve("O1", "F1")).total_fen == 70
    assert (await ledger.refusal("O2", "F1", request_id=2)).reason == "NEGATIVE_SELECTED_ALONE"


async def test_more_named_lines_than_a_request_takes_are_too_many_and_nothing_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    many = an_order("O1", 1)
    await ledger.bill(many.model_copy(update={"lines": many.lines * 5}), an_order("O2", 50))
    refused = await ledger.refusal("O1", "O2")
    assert (refused.reason, refused.detail) == ("SELECTION_TOO_LARGE", {"items_max": 3})


async def test_of_a_month_only_its_own_items_are_looked_at(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside them there may be a million open items of other months, before and after."""
    few_at_once(monkeypatch)
    for month in (1, 2, 3):
        at = MARCH_10.replace(month=month)
        await ledger.bill(
            *(an_order(f"O{month}-{number}", 100, at=at + timedelta(hours=number)) for number in range(3))
        )
    seen: list[str] = []
    look = selections.seen_items

    async def watched(*given: Any) -> Any:  # noqa: ANN401
        rows = await look(*given)
        seen.extend(row.cycle for row in rows)
        return rows

    monkeypatch.setattr(selections, "seen_items", watched)
    monkeypatch.setattr(limits, "CHUNK_FIRST", 2)
    command = a_command(request_id=1).model_copy(update={"cycles": ("202602",)})
    answer = await ledger.ask(command)
    assert isinstance(answer, BalanceReserved)
    assert (answer.total_fen, seen) == (300, ["202602"] * 3)


async def test_asking_again_gives_the_first_answer(ledger: Ledger) -> None:
    refused = await ledger.refusal("O1")
    await ledger.bill(an_order())
    assert await ledger.refusal("O1") == refused
    reserved = await ledger.reserve("O1", request_id=2)
    assert await ledger.reserve("O1", request_id=2) == reserved
    assert await ledger.figures() == (0, 100_000, 0, 0)


async def test_an_issued_part_is_invoiced_once(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    reserved = await ledger.reserve("O1")
    await ledger.issued(reserved)
    await ledger.issued(reserved)
    assert await ledger.figures() == (100_000, 0, 0, 0)


async def test_a_failed_part_gives_its_amount_back_once(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    reserved = await ledger.reserve("O1")
    await ledger.failed(reserved)
    await ledger.failed(reserved)
    assert await ledger.figures() == (0, 0, 100_000, 0)


async def test_a_document_that_turns_out_to_exist_counts_after_all(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    reserved = await ledger.reserve("O1")
    await ledger.failed(reserved)
    await ledger.reserve("O1", request_id=2)
    await ledger.issued(reserved)
    assert await ledger.figures() == (100_000, 100_000, 0, 100_000)
    await ledger.failed(reserved)  # too late: the document exists
    assert await ledger.figures() == (100_000, 100_000, 0, 100_000)


async def test_a_release_gives_back_what_is_still_held_once(ledger: Ledger) -> None:
    await ledger.bill(an_order())
    await ledger.reserve("O1")
    assert len(await ledger.released()) == 1
    await ledger.released()
    assert await ledger.figures() == (0, 0, 100_000, 0)
    assert await ledger.released(request_id=404) == []


async def test_thirty_at_once_never_overspend(ledger: Ledger) -> None:
    await ledger.bill(*(an_order(f"O{n}", 100) for n in range(10)))
    answers = await asyncio.gather(*(ledger.ask(a_command(request_id=n, amount_fen=100)) for n in range(1, 31)))
    assert sum(isinstance(answer, BalanceReserved) for answer in answers) == 10
    assert await ledger.figures() == (0, 1000, 0, 0)


async def test_the_journal_explains_every_column(ledger: Ledger) -> None:
    await ledger.bill(an_order(), an_order("O2", 5_000), a_refund())
    await ledger.issued(await ledger.reserve("O1"))
    await ledger.failed(await ledger.reserve("O2", request_id=2), part_id=2)
    async with ledger.database.read() as db:
        wrong = await db.fetchval(
            """
            SELECT count(*) FROM item i WHERE invoiced_fen <> coalesce((SELECT sum(CASE WHEN to_bucket = 'invoiced' THEN amount_fen
                WHEN from_bucket = 'invoiced' THEN -amount_fen ELSE 0 END) FROM move m WHERE m.item_id = i.item_id), 0)
            """
        )
        causes = [row[0] for row in await db.fetch("SELECT DISTINCT cause FROM move ORDER BY 1")]
    assert wrong == 0
    assert causes == ["part 1", "part 2", "refund F1/1", "request 1", "request 2"]


async def test_a_refund_of_what_a_request_holds_is_told_to_it(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1"), an_order("O2"))
    await ledger.reserve("O1", "O2", request_id=7)
    told = await ledger.facts(a_refund(of="O1"), a_refund("F2", of="O2", cash_fen=1))
    assert [(one.request_id, one.refund_number) for one in told if isinstance(one, ReservationImpaired)] == [(7, "F1")]
    assert await ledger.facts(a_refund(of="O1")) == [], "the same refund again"
    await ledger.released(request_id=7)
    assert await ledger.facts(a_refund("F3", of="O1", cash_fen=1)) == [], "nobody holds it any more"
    assert await ledger.figures() == (0, 0, 200_000 - 20_002, 0)


async def test_a_refund_of_what_is_free_is_nobodys_business(ledger: Ledger) -> None:
    await ledger.bill(an_order("O1"), an_order("O2"))
    await ledger.reserve("O1")
    assert await ledger.facts(a_refund(of="O2")) == []


async def test_the_checker_sees_a_request_that_took_more_than_there_was(ledger: Ledger) -> None:
    """Also where as much was refunded before, which alone would explain a figure below zero."""
    await ledger.bill(an_order("O1", 100), a_refund("F1", of="O1", cash_fen=50))
    assert await violations(ledger.database) == []
    async with ledger.database.transaction() as db:
        await db.execute(
            """
            WITH taken AS (UPDATE item SET invoiceable_fen = -50, reserved_fen = 100 RETURNING account_id, item_id)
            INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
            SELECT account_id, item_id, 'invoiceable', 'reserved', 100, 'request 1', now() FROM taken
            """
        )
    (found,) = [text for text in await violations(ledger.database) if text.startswith("no_item_over_allocated")]
    assert "took more" in found
