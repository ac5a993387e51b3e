"""Who may invoice for whom: the relation decides, and the latest word about it counts (R-5)."""

from dataclasses import replace

import pytest

from services.invoicing.accounts import handlers
from services.invoicing.accounts.refusals import Refused
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from shared.contracts.ledger import OffsetDeficit, ReserveBalance
from shared.contracts.titles import MemberChanged
from tests.integration.invoicing.desk import NOW, Desk

pytestmark = pytest.mark.database

OF_MEMBERS = InvoiceIntent(1, "k1", cycles=("202603",), products=("ecs",), members=(3, 2), consolidate=True)
MANAGES = "MANAGE_TARGET_INVOICE"


async def related(desk: Desk, member_id: int, *permissions: str, version: int = 1, account_id: int = 1) -> None:
    fact = MemberChanged(account_id=account_id, member_id=member_id, version=version, permissions=permissions)
    async with desk.database.transaction() as db:
        assert await handlers.member_changed(fact, db, NOW) == []


async def refused(desk: Desk, ask: InvoiceIntent) -> tuple[str, object]:
    answer, _ = await desk.asked(ask)
    assert isinstance(answer, Refused), answer
    return answer.code, answer.values["account_id"]


async def test_the_documents_of_members_are_asked_for_by_the_account_that_manages_them(desk: Desk) -> None:
    await related(desk, 2, MANAGES)
    await related(desk, 3, MANAGES, "OFFSET_MEMBER_DEFICITS")
    answer, messages = await desk.asked(OF_MEMBERS)
    assert isinstance(answer, AcceptedRequest)
    (ask,) = [one for one in messages if isinstance(one, ReserveBalance)]
    assert (ask.accounts, ask.pooled, ask.products, ask.cycles) == ((2, 3), (3,), ("ecs",), ("202603",))
    (row,) = await desk.rows("SELECT members, consolidate, one_invoice_per_month FROM request")
    assert tuple(row.values()) == ([3, 2], True, False)


async def test_a_member_that_has_not_granted_it_is_named(desk: Desk) -> None:
    await related(desk, 2, MANAGES)
    await related(desk, 3, "CHECK_TARGET_CONSUMPTION")
    assert await refused(desk, OF_MEMBERS) == ("NO_INVOICE_PERMISSION", 3)
    assert await refused(desk, replace(OF_MEMBERS, members=(2, 4))) == ("NO_INVOICE_PERMISSION", 4)
    assert await refused(desk, InvoiceIntent(1, "k2", subject="S", members=(3,), pays_deficit=True)) == (
        "NO_INVOICE_PERMISSION",
        3,
    )


async def test_the_latest_word_counts_and_an_ended_relation_ends(desk: Desk) -> None:
    await related(desk, 2, version=2)
    await related(desk, 2, MANAGES, version=1)
    assert await refused(desk, replace(OF_MEMBERS, members=(2,))) == ("NO_INVOICE_PERMISSION", 2)
    await related(desk, 2, MANAGES, version=3)
    answer, _ = await desk.asked(replace(OF_MEMBERS, members=(2,)))
    assert isinstance(answer, AcceptedRequest)


async def test_a_member_whose_manager_keeps_invoicing_to_itself_is_refused_for_its_own(desk: Desk) -> None:
    await related(desk, 1, MANAGES, "FORBID_MANAGE_INVOICE", account_id=9)
    own = InvoiceIntent(1, "k1", numbers=("O1",))
    assert await refused(desk, own) == ("NO_INVOICE_PERMISSION", 1)
    await related(desk, 1, MANAGES, account_id=9, version=2)
    answer, _ = await desk.asked(own)
    assert isinstance(answer, AcceptedRequest)


async def test_a_deficit_may_be_paid_with_what_members_spent(desk: Desk) -> None:
    await related(desk, 2, MANAGES, "OFFSET_MEMBER_DEFICITS")
    _, messages = await desk.asked(InvoiceIntent(1, "k1", subject="ALIYUN_SERVICE", members=(1, 2), pays_deficit=True))
    (ask,) = messages
    assert isinstance(ask, OffsetDeficit)
    assert (ask.accounts, ask.pooled) == ((1, 2), (1, 2))
