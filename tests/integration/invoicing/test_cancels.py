"""A wish to cancel what is with the platform: it goes out, it is heard, and the platform's result decides (R-8)."""

import asyncio

import pytest

from deploy.demo.client import eventually
from services.invoicing.issuing import handlers
from services.invoicing.issuing import store as parts
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.requests import store as requests
from services.invoicing.requests.rules import CancelIntent
from services.invoicing.submissions.rules import LEASE_SECONDS
from services.invoicing.tax_platforms.port import (
    Accepted,
    Answer,
    CancelHeard,
    Cancelled,
    Issued,
    NotFound,
    Processing,
    Unknown,
)
from shared.contracts.ledger import ReservationImpaired
from shared.contracts.message import Message
from tests.integration.invoicing.desk import NOW, Desk, after, names

pytestmark = pytest.mark.database

LONG = 10 * LEASE_SECONDS
ISSUED = Issued("26332000000000000001", NOW, 106_000, 100_000, 6_000, "qr", specimen=True)


@pytest.fixture
async def submitted(desk: Desk) -> int:
    """A request whose part the platform is at."""
    request_id = await desk.queued_part()
    await desk.came(await desk.claimed(), Accepted())
    return request_id


async def impaired(desk: Desk, request_id: int) -> list[Message]:
    fact = ReservationImpaired(account_id=1, request_id=request_id, reservation_id=request_id, refund_number="F1")
    async with desk.database.transaction() as db:
        return await handlers.reservation_impaired(fact, db, NOW)


async def steps(desk: Desk, *answers: Answer) -> list[str]:
    """What a worker does, one due step after another, when it hears these answers."""
    done: list[str] = []
    for number, answer in enumerate(answers, 1):
        claimed = await desk.claimed(after(number * LONG))
        done.append(claimed.step)
        await desk.came(claimed, answer)
    return done


async def test_the_wish_goes_out_at_once_and_the_result_is_asked_for(desk: Desk, submitted: int) -> None:
    assert await desk.claim() is None
    assert await desk.cancelled(submitted) == ("cancelling", [])
    assert await steps(desk, CancelHeard(), Processing(), Cancelled()) == ["cancel", "query", "query"]
    row = await desk.request()
    assert (row["status"], row["reason"]) == ("voided", "CANCELLED")
    assert await desk.rows("SELECT FROM attempt WHERE step = 'cancel'") != []


async def test_a_cancel_and_an_answer_at_the_same_moment_wait_for_each_other_and_never_in_a_circle(
    desk: Desk, submitted: int
) -> None:
    """The answer comes while the cancel has the request and not yet its parts."""
    claimed = await desk.claimed(after(LONG))
    async with desk.database.transaction() as cancelling:
        status = await requests.wish_cancel(cancelling, CancelIntent(1, submitted))
        answering = asyncio.create_task(desk.came(claimed, ISSUED))
        await eventually("somebody who waits", lambda: desk.rows("SELECT FROM pg_locks WHERE NOT granted"))
        await parts.make_due_now(cancelling, CancelIntent(1, submitted))
    assert (status, names(await answering)) == ("invoicing", ["InvoiceIssued", "RequestClosed"])


async def test_issue_beats_cancel(desk: Desk, submitted: int) -> None:
    await desk.cancelled(submitted)
    assert await steps(desk, CancelHeard(), ISSUED) == ["cancel", "query"]
    row = await desk.request()
    assert (row["status"], row["cancel_wished"]) == ("invoiced", True)


async def test_a_lost_wish_goes_out_again_after_the_result_was_asked_for(desk: Desk, submitted: int) -> None:
    await desk.cancelled(submitted)
    answers = (Unknown("timeout"), Processing(), CancelHeard(), Processing())
    assert await steps(desk, *answers) == ["cancel", "query", "cancel", "query"]


async def test_what_never_arrived_is_not_sent_again(desk: Desk) -> None:
    request_id = await desk.queued_part()
    await desk.came(await desk.claimed(), Unknown("timeout"))
    await desk.cancelled(request_id)
    assert await steps(desk, CancelHeard(), NotFound()) == ["cancel", "query"]
    assert (await desk.request())["status"] == "voided"
    assert await desk.claim(after(10 * LONG)) is None


async def test_a_refund_of_what_is_held_cancels_what_nobody_has_taken(desk: Desk) -> None:
    request_id = await desk.queued_part()
    assert names(await impaired(desk, request_id)) == ["InvoiceVoided", "RequestClosed"]
    row = await desk.request()
    assert (row["status"], row["reason"]) == ("voided", "REFUND_BEFORE_ISSUE")
    assert await impaired(desk, request_id) == [], "and once"


async def test_a_refund_of_what_is_held_before_the_ledgers_word_sends_the_reservation_back(desk: Desk) -> None:
    request_id = await desk.taken()
    assert await impaired(desk, request_id) == []
    assert names(await desk.reserved(request_id, 106)) == ["ReleaseReservation", "RequestClosed"]
    assert (await desk.request())["reason"] == "REFUND_BEFORE_ISSUE"


async def test_a_refund_while_the_platform_is_at_it_is_the_same_wish(desk: Desk, submitted: int) -> None:
    assert await impaired(desk, submitted) == []
    assert await steps(desk, CancelHeard(), Cancelled()) == ["cancel", "query"]
    assert (await desk.request())["reason"] == "REFUND_BEFORE_ISSUE"


async def test_a_refund_after_the_invoice_changes_nothing_here(desk: Desk, submitted: int) -> None:
    await steps(desk, ISSUED)
    assert await impaired(desk, submitted) == []
    assert (await desk.request())["status"] == "invoiced"


async def test_the_first_reason_stays(desk: Desk, submitted: int) -> None:
    await impaired(desk, submitted)
    await desk.cancelled(submitted)
    await steps(desk, CancelHeard(), Cancelled())
    assert (await desk.request())["reason"] == "REFUND_BEFORE_ISSUE"


async def test_two_workers_do_not_both_ask(desk: Desk, submitted: int) -> None:
    await desk.cancelled(submitted)
    claimed = await desk.claimed()
    assert isinstance(claimed, ClaimedPart)
    assert await desk.claim() is None
