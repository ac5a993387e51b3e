"""Requests on real PostgreSQL: taken, repeated, refused in a fixed order, split, cancelled; and what title says about who asks."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from services.invoicing.accounts.refusals import Refused
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from shared.contracts.ledger import ReserveBalance
from shared.contracts.titles import AccountStatusChanged
from tests.integration.invoicing.desk import CONTENTS, KEYS, NOW, Desk, a_title, names
from tests.support.edge import TOKEN
from tests.support.world import an_account

pytestmark = pytest.mark.database

ORDERS = InvoiceIntent(1, "k1", numbers=("O1", "O2"))


async def refusal(desk: Desk, ask: InvoiceIntent) -> str:
    answer, messages = await desk.asked(ask)
    assert isinstance(answer, Refused), answer
    assert messages == []
    assert await desk.rows("SELECT FROM idempotency") == [], "a refused ask does not use up its key"
    return answer.code


async def test_a_request_is_stored_with_its_title_and_its_balance_asked_for(desk: Desk) -> None:
    answer, messages = await desk.asked(replace(ORDERS, remark="第一季度", subject="ALIYUN_SERVICE"))
    assert isinstance(answer, AcceptedRequest)
    assert names(messages) == ["InvoiceRequested", "ReserveBalance"]
    ask = messages[1]
    assert isinstance(ask, ReserveBalance)
    assert (ask.request_id, ask.accounts, ask.numbers, ask.subject) == (
        answer.request_id,
        (1,),
        ("O1", "O2"),
        "ALIYUN_SERVICE",
    )
    (row,) = await desk.rows("SELECT status, method, kind, numbers, remark, title::text FROM request")
    assert [row[name] for name in ("status", "method", "kind", "remark")] == [
        "reserving",
        "by_order",
        "general",
        "第一季度",
    ]
    assert "示例" not in row["title"], "the snapshot stays sealed"


@pytest.mark.parametrize(
    ("ask", "method"),
    [
        (InvoiceIntent(1, "k", numbers=("O1",)), "by_order"),
        (InvoiceIntent(1, "k", cycles=("202603",)), "by_monthly_bill"),
        (InvoiceIntent(1, "k", amount_fen=5), "by_amount"),
    ],
    ids=["order", "month", "amount"],
)
async def test_the_method_follows_from_what_was_selected(ask: InvoiceIntent, method: str, desk: Desk) -> None:
    await desk.asked(ask)
    assert await desk.rows("SELECT method FROM request") == [{"method": method}]


async def test_the_same_key_repeats_the_first_answer_and_asks_the_ledger_once(desk: Desk) -> None:
    first, _ = await desk.asked(ORDERS)
    assert await desk.asked(ORDERS) == (first, [])
    await desk.heard(AccountStatusChanged(account_id=1, version=2, status="closed"))
    assert await desk.asked(ORDERS) == (first, []), "also when the account was closed meanwhile"


async def test_the_same_key_with_other_content_is_a_conflict_that_names_the_first(desk: Desk) -> None:
    request_id = await desk.taken()
    answer, messages = await desk.asked(InvoiceIntent(1, "k1", numbers=("O2",)))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.values["request_id"], messages) == ("IDEMPOTENCY_CONFLICT", request_id, [])


async def test_the_same_key_of_two_accounts_is_two_keys(desk: Desk) -> None:
    await desk.knows(2)
    one, _ = await desk.asked(ORDERS)
    other, _ = await desk.asked(replace(ORDERS, account_id=2))
    assert isinstance(one, AcceptedRequest)
    assert isinstance(other, AcceptedRequest)
    assert one != other


async def test_ten_at_once_under_one_key_are_one_request(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.asked(ORDERS) for _ in range(10)))
    assert len({repr(answer) for answer, _ in answers}) == 1
    assert sum(len(messages) for _, messages in answers) == 2
    assert len(await desk.rows("SELECT FROM request")) == 1


@pytest.mark.parametrize(
    ("changed", "ask", "code"),
    [
        ({}, InvoiceIntent(1, "k"), "NOTHING_SELECTED"),
        ({}, InvoiceIntent(404, "k", numbers=("O1",)), "NO_ACTIVE_TITLE"),
        ({"bank_name": None}, replace(ORDERS, kind="special"), "TITLE_INCOMPLETE_FOR_SPECIAL"),
        ({"tax_id": "913301060000000010"}, ORDERS, "BAD_TAX_ID"),
        ({}, replace(ORDERS, remark="x" * 201), "REMARK_TOO_LONG"),
        ({}, replace(ORDERS, remark="a<b"), "REMARK_BAD_CHARACTER"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_may_not_be_asked_is_refused_before_anything_is_stored(
    changed: dict[str, str | None], ask: InvoiceIntent, code: str, desk: Desk
) -> None:
    await desk.knows(1)
    registration = an_account(1, at=NOW).registration.model_copy(update=changed)
    await desk.heard(a_title(registration, version=2))
    assert await refusal(desk, ask) == code


async def test_a_natural_person_gets_no_special_invoice(desk: Desk) -> None:
    await desk.knows(2, "individual", name="个人")
    ask = InvoiceIntent(2, "k", numbers=("O1",), kind="special")
    assert await refusal(desk, ask) == "SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON"


async def test_of_several_reasons_the_first_of_a_fixed_order_is_named(desk: Desk) -> None:
    """Each step mends what the last one named."""
    ask = InvoiceIntent(2, "k", kind="special", remark="a<b" + "x" * 200)
    await desk.heard(AccountStatusChanged(account_id=2, version=1, status="closed"))
    assert await refusal(desk, ask) == "ACCOUNT_CLOSED"
    await desk.heard(AccountStatusChanged(account_id=2, version=2, status="open"))
    assert await refusal(desk, ask) == "NOTHING_SELECTED"
    ask = replace(ask, numbers=("O1",))
    assert await refusal(desk, ask) == "NO_ACTIVE_TITLE"
    await desk.knows(2, tax_id="913301060000000010", phone=None)
    assert await refusal(desk, ask) == "TITLE_INCOMPLETE_FOR_SPECIAL"
    ask = replace(ask, kind="general")
    assert await refusal(desk, ask) == "BAD_TAX_ID"
    await desk.heard(a_title(an_account(2, at=NOW).registration, 2, version=2))
    assert await refusal(desk, ask) == "REMARK_TOO_LONG"
    assert await refusal(desk, replace(ask, remark="a<b")) == "REMARK_BAD_CHARACTER"
    assert isinstance((await desk.asked(replace(ask, remark="")))[0], AcceptedRequest)


async def test_a_missing_field_of_a_special_invoice_is_named_as_it_is_on_the_title_page(desk: Desk) -> None:
    await desk.knows(2, address=None, bank_account=None)
    answer, _ = await desk.asked(InvoiceIntent(2, "k", numbers=("O1",), kind="special"))
    assert isinstance(answer, Refused)
    assert answer.values == {"missing": ["bank_account", "registered_address"]}


# what title says


async def test_a_lower_version_of_a_title_or_a_status_is_ignored(desk: Desk) -> None:
    registration = an_account(1, at=NOW).registration
    await desk.heard(
        a_title(registration.model_copy(update={"name": "新名称"}), version=3),
        a_title(registration.model_copy(update={"name": "旧名称"}), version=2),
        AccountStatusChanged(account_id=1, version=3, status="open"),
        AccountStatusChanged(account_id=1, version=2, status="closed"),
    )
    await desk.queued_part()
    part = await desk.claimed()
    assert KEYS.unseal(part.title["name"], "1/name") == "新名称"


async def test_a_title_that_changes_after_the_request_is_not_printed(desk: Desk) -> None:
    request_id = await desk.taken()
    registration = an_account(1, at=NOW).registration.model_copy(update={"name": "新名称"})
    await desk.heard(a_title(registration, version=2))
    await desk.reserved(request_id, 106)
    part = await desk.claimed()
    assert KEYS.unseal(part.title["name"], "1/name") == "示例科技有限公司"


# what the ledger says


async def test_a_reservation_is_split_into_parts_with_serials_of_their_own(desk: Desk) -> None:
    assert await desk.reserved(await desk.taken(), 106_000, 113_000) == []
    parts = await desk.parts()
    figures = {(part["content"], part["gross_fen"], part["net_fen"], part["tax_fen"]) for part in parts}
    assert figures == {(CONTENTS[0], 106_000, 100_000, 6_000), (CONTENTS[1], 113_000, 100_000, 13_000)}
    assert [(part["status"], part["next_step"], part["tries"]) for part in parts] == [("queued", "submit", 0)] * 2
    serials = {part["serial"] for part in parts}
    assert {row["serial"] for row in await desk.rows("SELECT serial FROM platform_serial")} == serials
    assert len(serials) == 2
    assert (await desk.request())["status"] == "invoicing"


async def test_a_reservation_that_comes_twice_is_split_once(desk: Desk) -> None:
    request_id = await desk.queued_part()
    assert await desk.reserved(request_id, 106_000) == []
    assert len(await desk.parts()) == 1


async def test_a_reservation_for_a_request_that_was_never_taken_changes_nothing(desk: Desk) -> None:
    assert await desk.reserved(404, 106) == []
    assert await desk.parts() == []


async def test_a_reservation_that_comes_after_a_wish_to_cancel_goes_straight_back(desk: Desk) -> None:
    request_id = await desk.taken()
    assert await desk.cancelled(request_id) == ("cancelling", [])
    assert names(await desk.reserved(request_id, 106)) == ["ReleaseReservation", "RequestClosed"]
    assert await desk.parts() == []
    row = await desk.request()
    assert (row["status"], row["reason"]) == ("voided", "CANCELLED")
    assert await desk.reserved(request_id, 106) == [], "and once"


async def test_a_refusal_of_the_ledger_is_told_once(desk: Desk) -> None:
    request_id = await desk.taken()
    assert names(await desk.ledger_refused(request_id)) == ["RequestRefused"]
    assert await desk.ledger_refused(request_id) == []
    assert (await desk.request())["reason"] == "INSUFFICIENT_INVOICEABLE"


async def test_a_refusal_that_comes_late_changes_nothing(desk: Desk) -> None:
    request_id = await desk.queued_part()
    assert await desk.ledger_refused(request_id) == []
    assert (await desk.request())["status"] == "invoicing"


# cancelling


async def code_of(desk: Desk, request_id: int) -> str:
    answer, messages = await desk.cancelled(request_id)
    assert isinstance(answer, Refused), answer
    assert messages == []
    return answer.code


async def test_a_cancel_of_what_is_queued_voids_it_at_once_and_once(desk: Desk) -> None:
    request_id = await desk.taken()
    await desk.reserved(request_id, 106, 113)
    answer, messages = await desk.cancelled(request_id)
    assert (answer, names(messages)) == ("voided", ["InvoiceVoided", "InvoiceVoided", "RequestClosed"])
    assert await desk.cancelled(request_id) == ("voided", [])
    assert await desk.history() == ["queued voided"] * 2
    assert await desk.claim() is None


async def test_a_cancel_voids_what_nobody_has_taken_and_waits_for_the_rest(desk: Desk) -> None:
    request_id = await desk.taken()
    await desk.reserved(request_id, 106, 113)
    await desk.claimed()
    answer, messages = await desk.cancelled(request_id)
    assert (answer, names(messages)) == ("cancelling", ["InvoiceVoided"])
    assert sorted(part["status"] for part in await desk.parts()) == ["submitting", "voided"]
    row = await desk.request()
    assert (row["status"], row["cancel_wished"]) == ("invoicing", True)


async def test_a_cancel_of_an_unknown_or_another_accounts_request_finds_nothing(desk: Desk) -> None:
    assert await code_of(desk, 404) == "NOT_FOUND"


async def test_who_cancels_over_http_what_has_ended_is_told_how_it_ended(desk: Desk, api: str) -> None:
    request_id = await desk.taken()
    await desk.ledger_refused(request_id)
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        answer = await http.post(f"{api}/accounts/1/invoice-requests/{request_id}/cancel")
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (409, 409, "NOT_CANCELLABLE")
    assert (told["request_id"], told["request_status"]) == (request_id, "refused")


async def test_a_cancel_of_a_refused_request_is_refused(desk: Desk) -> None:
    request_id = await desk.taken()
    await desk.ledger_refused(request_id)
    assert await code_of(desk, request_id) == "NOT_CANCELLABLE"
    assert (await desk.request())["cancel_wished"] is False
