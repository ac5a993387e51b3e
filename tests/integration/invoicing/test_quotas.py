"""A seller's monthly quota (R-13): held before a part is submitted, used by its invoice, free again when none comes of it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.invoicing.issuing import handlers
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.quotas import store as quotas
from services.invoicing.quotas.rules import LOOK_SECONDS
from services.invoicing.requests.rules import CancelIntent
from services.invoicing.tax_platforms.port import (
    QUOTA_EXCEEDED,
    Accepted,
    Answer,
    CancelHeard,
    Cancelled,
    Failed,
    Issued,
    NotFound,
    QuotaTold,
    Rejected,
    Unknown,
)
from shared.contracts.invoicing import PartWaitsForQuota
from shared.domain.calendar import SHANGHAI
from tests.integration.invoicing.desk import NOW, Desk, after, names

pytestmark = pytest.mark.database

NET, GROSS = 100_000, 106_000
ISSUED = Issued("26332000000000000001", NOW, GROSS, NET, 6_000, "qr", specimen=True)
APRIL = datetime(2026, 4, 1, tzinfo=SHANGHAI)
LATER = after(LOOK_SECONDS)


async def short(desk: Desk, left_net_fen: int = NET - 1) -> int:
    """A request whose part is too much for what is left."""
    part = await parted(desk)
    await desk.came(part, Failed("X", "for its quota only"))
    assert await desk.told_quota(left_net_fen)
    request_id = await desk.taken("k2")
    await desk.reserved(request_id, GROSS)
    assert await desk.claim() is None
    return request_id


async def parted(desk: Desk) -> ClaimedPart:
    await desk.queued_part()
    return await desk.claimed()


async def status(desk: Desk) -> str:
    return str((await desk.parts())[-1]["status"])


async def test_what_is_submitted_is_held_and_what_is_issued_is_used(desk: Desk) -> None:
    part = await parted(desk)
    assert await desk.quota() == [("202603", None, 0, NET, 0)]
    await desk.came(part, ISSUED)
    assert await desk.quota() == [("202603", None, 0, 0, NET)]


@pytest.mark.parametrize("answer", [Failed("BUYER_TAX_ID", "bad"), Cancelled()], ids=["failed", "cancelled"])
async def test_what_comes_to_nothing_is_free_again(desk: Desk, answer: Answer) -> None:
    await desk.came(await parted(desk), answer)
    assert await desk.quota() == [("202603", None, 0, 0, 0)]


async def test_no_answer_keeps_it_and_asking_again_does_not_hold_it_twice(desk: Desk) -> None:
    await desk.came(await parted(desk), Unknown("timeout"))
    query = await desk.claimed(after(2))
    await desk.came(query, NotFound())
    again = await desk.claimed(after(3))
    assert again.step == "submit"
    assert await desk.quota() == [("202603", None, 0, NET, 0)]


async def test_what_the_platform_counts_beside_ours_is_not_left(desk: Desk) -> None:
    await desk.came(await parted(desk), ISSUED)
    assert await desk.told_quota(5 * NET, used_net_fen=3 * NET)
    assert await desk.quota() == [("202603", 5 * NET, 2 * NET, 0, NET)], "a third of it was ours"


async def test_what_the_platform_counts_may_be_less_than_ours(desk: Desk) -> None:
    await desk.came(await parted(desk), ISSUED)
    assert await desk.told_quota(5 * NET, used_net_fen=0)
    assert await desk.quota() == [("202603", 5 * NET, -NET, 0, NET)], "its word counts"


async def test_what_was_asked_about_again_meanwhile_is_left_to_the_later_answer(desk: Desk) -> None:
    await parted(desk)
    async with desk.database.transaction() as db:
        first = await quotas.claim_due(db, NOW, NOW)
    assert first is not None
    assert await desk.told_quota(3 * NET, at=LATER)
    async with desk.database.transaction() as db:
        await handlers.quota_answered(first, QuotaTold(NET, 0), db, NOW)
    assert (await desk.quota())[0][1] == 3 * NET


async def test_a_part_that_is_too_much_waits_and_it_is_said_once(desk: Desk) -> None:
    await short(desk)
    (said,) = await desk.looked() or []
    assert await status(desk) == "waiting_quota"
    assert isinstance(said, PartWaitsForQuota)
    assert (said.legal_entity, said.month, said.needed_net_fen, said.left_net_fen) == ("ALIYUN", "202603", NET, NET - 1)
    assert await desk.looked() is None, "it looks again later"
    assert await desk.looked(LATER) == []


async def test_a_smaller_one_passes_it(desk: Desk) -> None:
    await short(desk)
    request_id = await desk.taken("k3")
    await desk.reserved(request_id, 106)
    assert (await desk.claimed()).gross_fen == 106


async def test_when_the_quota_is_raised_it_goes_on(desk: Desk) -> None:
    await short(desk)
    await desk.looked()
    assert await desk.told_quota(NET, at=LATER)
    assert await desk.looked(LATER) == []
    part = await desk.claimed(LATER)
    assert (part.step, part.gross_fen) == ("submit", GROSS)
    assert await desk.quota() == [("202603", NET, 0, NET, 0)]
    path = ["queued waiting_quota", "waiting_quota queued", "queued submitting"]
    assert [step for step in await desk.history() if "failed" not in step][-3:] == path


async def test_the_next_month_has_a_quota_of_its_own(desk: Desk) -> None:
    await short(desk)
    await desk.looked()
    assert await desk.looked(APRIL) == []
    assert (await desk.claimed(APRIL)).gross_fen == GROSS
    assert await desk.quota() == [("202603", NET - 1, 0, 0, 0), ("202604", None, 0, NET, 0)]


async def test_it_is_said_again_in_a_month_that_has_too_little_as_well(desk: Desk) -> None:
    await short(desk)
    await desk.looked()
    await desk.looked(APRIL)
    await desk.came(await desk.claimed(APRIL), Unknown("timeout"))
    assert await desk.told_quota(NET - 1, at=APRIL)
    refused = await desk.claimed(APRIL + timedelta(seconds=2))
    await desk.came(replace(refused, reason=QUOTA_EXCEEDED), NotFound())
    (said,) = await desk.looked(APRIL + timedelta(seconds=2 + LOOK_SECONDS)) or []
    assert isinstance(said, PartWaitsForQuota)
    assert (said.month, said.left_net_fen) == ("202604", NET - 1)


async def test_what_is_with_the_platform_when_a_month_begins_counts_in_it(desk: Desk) -> None:
    await desk.came(await parted(desk), Accepted())
    assert (await desk.claimed(APRIL)).step == "query"
    assert await desk.quota() == [("202603", None, 0, 0, 0), ("202604", None, 0, NET, 0)]


async def test_a_submission_that_slips_into_the_next_month_is_held_there(desk: Desk) -> None:
    await desk.came(await parted(desk), Unknown("timeout"))
    await desk.came(await desk.claimed(after(2)), NotFound())
    assert (await desk.claimed(APRIL)).step == "submit"
    assert await desk.quota() == [("202603", None, 0, 0, 0), ("202604", None, 0, NET, 0)]


async def test_an_invoice_counts_in_the_month_of_its_issue(desk: Desk) -> None:
    issued = Issued(ISSUED.number, APRIL, GROSS, NET, 6_000, "qr", specimen=True)
    await desk.came(await parted(desk), issued)
    assert await desk.quota() == [("202603", None, 0, 0, 0), ("202604", None, 0, 0, NET)]


async def test_what_the_platform_refuses_for_quota_waits_and_it_is_asked_at_once(desk: Desk) -> None:
    part = await parted(desk)
    assert await desk.told_quota(5 * NET)
    assert not await desk.told_quota(5 * NET), "not again so soon"
    await desk.came(part, Rejected(QUOTA_EXCEEDED, "others were faster"))
    await desk.came(await desk.claimed(), NotFound())
    assert (await status(desk), (await desk.part())["reason"]) == ("waiting_quota", None)
    assert await desk.looked() is None, "what we know of the quota was wrong: nobody submits on it"
    assert await desk.told_quota(5 * NET, used_net_fen=5 * NET - 1)
    assert names(await desk.looked() or []) == ["PartWaitsForQuota"]
    assert await desk.told_quota(6 * NET, used_net_fen=5 * NET - 1, at=LATER)
    assert await desk.looked(LATER) == []
    again = await desk.claimed(LATER)
    assert (again.step, again.serial) == ("submit", part.serial)
    await desk.came(again, Accepted())
    assert await desk.quota() == [("202603", 6 * NET, 5 * NET - 1, NET, 0)]


async def test_a_cancel_ends_what_waits_at_once(desk: Desk) -> None:
    request_id = await short(desk)
    _, messages = await desk.cancelled(request_id)
    assert names(messages) == ["InvoiceVoided", "RequestClosed"]
    assert await status(desk) == "voided"
    assert await desk.looked(LATER) is None


async def test_what_goes_on_and_is_cancelled_before_it_is_submitted_holds_nothing(desk: Desk) -> None:
    request_id = await short(desk)
    await desk.looked()
    assert await desk.told_quota(NET, at=LATER)
    await desk.looked(LATER)
    assert await status(desk) == "queued"
    await desk.cancelled(request_id)
    assert (await status(desk), await desk.quota()) == ("voided", [("202603", NET, 0, 0, 0)])


async def test_a_refusal_is_told_and_tried_again_though_there_seems_to_be_enough(desk: Desk) -> None:
    """Others of the seller may have asked for what is not issued yet: the platform counts that and does not tell."""
    part = await parted(desk)
    assert await desk.told_quota(5 * NET)
    await desk.came(part, Rejected(QUOTA_EXCEEDED, "too much"))
    await desk.came(await desk.claimed(), NotFound())
    assert await desk.told_quota(5 * NET)
    assert await desk.looked() is None, "that was no news: not again at once"
    (said,) = await desk.looked(LATER) or []
    assert isinstance(said, PartWaitsForQuota)
    assert said.left_net_fen == 5 * NET
    assert await desk.claim(LATER) is None
    assert await desk.looked(LATER + timedelta(seconds=LOOK_SECONDS)) == []
    assert (await desk.claimed(LATER + timedelta(seconds=LOOK_SECONDS))).step == "submit"


async def test_a_platform_that_refuses_and_says_nothing_is_not_asked_without_a_pause(desk: Desk) -> None:
    part = await parted(desk)
    await desk.came(part, Rejected(QUOTA_EXCEEDED, "too much"))
    await desk.came(await desk.claimed(), NotFound())
    assert await desk.told_quota(None)
    assert await desk.looked() is None
    (said,) = await desk.looked(LATER) or []
    assert isinstance(said, PartWaitsForQuota)
    assert said.left_net_fen is None


async def test_two_claims_at_once_hold_no_more_than_there_is(desk: Desk) -> None:
    part = await parted(desk)
    await desk.came(part, Failed("X", "for its quota only"))
    assert await desk.told_quota(NET)
    for key in ("k2", "k3"):
        await desk.reserved(await desk.taken(key), GROSS)
    claims = await asyncio.gather(desk.claim(), desk.claim())
    assert sum(claim is not None for claim in claims) == 1
    assert await desk.quota() == [("202603", NET, 0, NET, 0)]


async def test_what_is_cancelled_while_the_platform_refuses_it_does_not_wait(desk: Desk) -> None:
    part = await parted(desk)
    await desk.came(part, Rejected(QUOTA_EXCEEDED, "too much"))
    query = await desk.claimed()
    await desk.cancelled(part.request_id)
    await desk.came(query, NotFound())
    for step, answer in (("cancel", CancelHeard()), ("query", NotFound())):
        claimed = await desk.claimed(after(1))
        assert claimed.step == step
        await desk.came(claimed, answer)
    assert await status(desk) == "voided"
    assert await desk.quota() == [("202603", None, 0, 0, 0)]


async def test_what_is_cancelled_before_it_is_submitted_again_is_asked_for_instead(desk: Desk) -> None:
    part = await parted(desk)
    await desk.came(part, Unknown("timeout"))
    await desk.came(await desk.claimed(after(2)), NotFound())
    await desk.cancelled(part.request_id)
    query = await desk.claimed(after(3))
    assert query.step == "query"
    await desk.came(query, NotFound())
    assert await status(desk) == "voided"


async def test_a_document_that_turns_up_while_its_part_waits_is_a_fact(desk: Desk) -> None:
    part = await parted(desk)
    await desk.came(part, Rejected(QUOTA_EXCEEDED, "too much"))
    await desk.came(await desk.claimed(), NotFound())
    await desk.came(part, ISSUED)
    assert await status(desk) == "issued"
    assert await desk.quota() == [("202603", None, 0, 0, NET)]


async def test_a_wish_to_cancel_that_comes_while_the_part_is_claimed_is_seen(desk: Desk) -> None:
    """The statement that finds the part has begun before the wish; the wish locks the part first."""
    part = await parted(desk)
    await desk.came(part, Unknown("timeout"))
    await desk.came(await desk.claimed(after(2)), NotFound())
    async with desk.database.transaction(account_id=1) as db:
        await handlers.cancel_request(CancelIntent(1, part.request_id), db, NOW)
        assert await desk.claim(after(3)) is None, "its row is passed over"
    assert (await desk.claimed(after(3))).step == "query"


async def test_only_months_in_use_are_asked_about_and_not_too_often(desk: Desk) -> None:
    assert not await desk.told_quota(NET)
    await parted(desk)
    assert [await desk.told_quota(NET) for _ in range(2)] == [True, False]
    assert not await desk.told_quota(NET, at=LATER - timedelta(seconds=1))
    assert await desk.told_quota(NET, at=LATER)
    assert not await desk.told_quota(NET, at=APRIL), "it is over"
