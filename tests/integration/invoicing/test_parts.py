"""Parts on real PostgreSQL: claimed once, answered in every state, looked at again when the platform calls back."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.submissions.rules import LEASE_SECONDS
from services.invoicing.tax_platforms.port import (
    Accepted,
    Answer,
    Cancelled,
    Failed,
    Issued,
    NotFound,
    Processing,
    Rejected,
    Unknown,
)
from tests.integration.invoicing.desk import NOW, Desk, after, names

pytestmark = pytest.mark.database

LONG = 10 * LEASE_SECONDS
ISSUED = Issued("26332000000000000001", NOW, 106_000, 100_000, 6_000, "qr", specimen=True)
OTHER_AMOUNT = replace(ISSUED, gross_fen=106_001, net_fen=100_001)


@pytest.fixture
async def part(desk: Desk) -> ClaimedPart:
    """In a worker's hands, submitted."""
    await desk.queued_part()
    return await desk.claimed()


async def called_back(desk: Desk, serial: str) -> None:
    await desk.called_back(serial)


async def ended(desk: Desk, part: ClaimedPart, status: str) -> None:
    answers: dict[str, Answer] = {"failed": Failed("BUYER_TAX_ID", "bad"), "voided": Cancelled(), "issued": ISSUED}
    await desk.came(part, answers[status])
    assert (await desk.part())["status"] == status


async def test_the_attempt_is_on_record_before_anybody_calls(desk: Desk, part: ClaimedPart) -> None:
    (attempt,) = await desk.rows("SELECT serial, step, attempt_no FROM attempt")
    assert attempt == {"serial": part.serial, "step": "submit", "attempt_no": 1}
    assert (await desk.part())["next_step"] == "query", "whoever comes next asks first"


async def test_ten_workers_take_a_part_once(desk: Desk) -> None:
    await desk.queued_part()
    claims = await asyncio.gather(*(desk.claim() for _ in range(10)))
    assert sum(claim is not None for claim in claims) == 1


async def test_a_lease_that_ended_goes_to_another_who_asks_first(desk: Desk, part: ClaimedPart) -> None:
    assert await desk.claim() is None
    other = await desk.claimed(after(LEASE_SECONDS + 1))
    assert (other.step, other.serial, other.epoch) == ("query", part.serial, part.epoch + 1)


@pytest.mark.parametrize("answer", [Accepted(), Processing(), Unknown("x"), Failed("E", "x"), Cancelled(), NotFound()])
async def test_the_word_of_a_stale_worker_counts_for_nothing(answer: Answer, desk: Desk, part: ClaimedPart) -> None:
    await desk.claimed(after(LEASE_SECONDS + 1))
    before = await desk.part()
    assert await desk.came(part, answer) == []
    assert await desk.part() == before


async def test_but_a_document_in_the_hands_of_a_stale_worker_does(desk: Desk, part: ClaimedPart) -> None:
    await desk.claimed(after(LEASE_SECONDS + 1))
    assert names(await desk.came(part, ISSUED)) == ["InvoiceIssued", "RequestClosed"]


async def test_issued_once_whatever_is_repeated(desk: Desk, part: ClaimedPart) -> None:
    assert names(await desk.came(part, ISSUED)) == ["InvoiceIssued", "RequestClosed"]
    assert await desk.came(part, ISSUED) == []
    assert await desk.history() == ["queued submitting", "submitting issued"]
    assert len(await desk.rows("SELECT FROM invoice_file_job")) == 1


async def test_a_rejection_is_believed_when_a_query_knows_of_nothing(desk: Desk, part: ClaimedPart) -> None:
    assert await desk.came(part, Rejected("TOTALS", "sums differ")) == []
    again = await desk.claimed()
    assert again.step == "query"
    assert names(await desk.came(again, NotFound())) == ["InvoiceFailed", "RequestClosed"]
    assert (await desk.part())["reason"] == "TOTALS"


async def test_a_lost_submission_goes_out_again_under_the_same_serial(desk: Desk, part: ClaimedPart) -> None:
    await desk.came(part, Unknown("timeout"))
    asked = await desk.claimed(after(LONG))
    await desk.came(asked, NotFound())
    again = await desk.claimed(after(LONG))
    assert (asked.step, again.step, again.serial) == ("query", "submit", part.serial)


@pytest.mark.parametrize("status", ["failed", "voided"])
async def test_a_late_document_is_a_fact_whatever_was_believed(status: str, desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, status)
    assert names(await desk.came(part, ISSUED)) == ["InvoiceIssued", "RequestClosed"]
    assert (await desk.request())["status"] == "invoiced"


@pytest.mark.parametrize("status", ["submitting", "failed", "voided"])
async def test_a_document_over_another_amount_is_put_aside_for_a_person(
    status: str, desk: Desk, part: ClaimedPart
) -> None:
    if status != "submitting":
        await ended(desk, part, status)
    assert names(await desk.came(part, OTHER_AMOUNT)) == ["RequestClosed"]
    row = await desk.part()
    assert (row["status"], row["number"], row["reason"]) == ("quarantined", ISSUED.number, "AMOUNT_DIFFERS")
    assert await desk.rows("SELECT FROM invoice_file_job") == [], "nothing is printed of it"
    assert await desk.came(part, OTHER_AMOUNT) == []


@pytest.mark.parametrize("answer", [Failed("E", "x"), Cancelled(), NotFound(), Processing(), OTHER_AMOUNT])
async def test_an_issued_part_stays_issued(answer: Answer, desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, "issued")
    assert await desk.came(part, answer) == []
    assert (await desk.part())["status"] == "issued"


async def test_a_callback_makes_a_waiting_part_due_at_once(desk: Desk, part: ClaimedPart) -> None:
    await desk.came(part, Unknown("timeout"))
    assert await desk.claim() is None
    await called_back(desk, part.serial)
    assert (await desk.claimed()).step == "query"


async def test_a_callback_while_somebody_asks_changes_nothing_for_him(desk: Desk, part: ClaimedPart) -> None:
    await called_back(desk, part.serial)
    assert await desk.claim() is None
    assert names(await desk.came(part, ISSUED)) == ["InvoiceIssued", "RequestClosed"]


@pytest.mark.parametrize("status", ["failed", "voided"])
async def test_a_callback_about_a_part_that_has_ended_makes_us_ask(status: str, desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, status)
    assert await desk.claim() is None
    await called_back(desk, part.serial)
    again = await desk.claimed()
    assert again.step == "query"
    assert (await desk.part())["status"] == status, "it stays what it is until a document is seen"
    assert names(await desk.came(again, ISSUED)) == ["InvoiceIssued", "RequestClosed"]


@pytest.mark.parametrize("answer", [Failed("E", "x"), Cancelled(), NotFound()])
async def test_and_it_is_asked_once_when_nothing_came_of_it(answer: Answer, desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, "failed")
    await called_back(desk, part.serial)
    assert await desk.came(await desk.claimed(), answer) == []
    assert await desk.claim(after(LONG)) is None
    assert (await desk.part())["status"] == "failed"


async def test_but_again_while_the_platform_is_at_it(desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, "failed")
    await called_back(desk, part.serial)
    assert await desk.came(await desk.claimed(), Processing()) == []
    assert (await desk.claimed(after(LONG))).step == "query"


@pytest.mark.parametrize("times", [1, 3])
async def test_callbacks_about_a_document_we_have_are_ignored(times: int, desk: Desk, part: ClaimedPart) -> None:
    await ended(desk, part, "issued")
    for _ in range(times):
        await called_back(desk, part.serial)
    await called_back(desk, "0" * 20)
    assert await desk.claim(NOW + timedelta(days=1)) is None


async def test_a_callback_never_makes_a_voided_part_go_out(desk: Desk) -> None:
    request_id = await desk.queued_part()
    (row,) = await desk.parts()
    await desk.cancelled(request_id)
    await called_back(desk, row["serial"])
    again = await desk.claimed()
    assert again.step == "query"
    assert await desk.came(again, NotFound()) == []
    assert await desk.claim(after(LONG)) is None
