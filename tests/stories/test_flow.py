"""From a settled bill to an invoice in a mailbox: all services in one process, the checker looking on at the end of each story."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deploy.verify.__main__ import violations
from services.invoicing.accounts.refusals import Refused
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from shared.contracts.accounts import AccountClosed
from shared.contracts.billing import Line, OrderPaid
from shared.domain.calendar import SHANGHAI
from tests.support.databases import Databases
from tests.support.examples import an_order
from tests.support.world import FlowWorld, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world(databases: Databases, tmp_path: Path) -> AsyncIterator[FlowWorld]:
    flow = await FlowWorld(NOW).open(databases, tmp_path)
    flow.stage.publish(an_account(1, at=NOW), source="/upstream/accounts")
    yield flow
    await flow.stage.let_pass(timedelta(minutes=2))
    assert await violations(flow) == {}
    await flow.close()


async def statuses(world: FlowWorld) -> list[str]:
    return [row["status"] for row in await world.rows("invoicing", "SELECT status FROM request ORDER BY request_id")]


async def test_an_order_becomes_an_invoice_with_two_files_in_a_mailbox(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1", 106_000))
    await world.stage.settle()
    assert await world.request(InvoiceIntent(1, "k1", numbers=("O1",))) == AcceptedRequest(1)
    await world.stage.let_pass(MINUTE)
    (part,) = await world.rows("invoicing", "SELECT status, gross_fen, net_fen, tax_fen, number FROM part")
    assert (part["status"], part["gross_fen"], part["net_fen"], part["tax_fen"]) == ("issued", 106_000, 100_000, 6_000)
    (mail,) = world.mailbox.mails
    assert mail.recipient == "finance-1@customer.example"
    assert [one.name for one in mail.attachments] == [f"{part['number']}.pdf", f"{part['number']}.xml"]
    assert [sms.mobile for sms in world.phones.messages] == ["13900000001"]
    assert await statuses(world) == ["invoiced"]


async def test_one_request_over_five_subjects_is_five_invoices(world: FlowWorld) -> None:
    products = {"ecs": 106_000, "wuying_terminal": 113_000, "sms": 10_900, "voice": 10_600, "cdn": 21_200}
    for product, cash_fen in products.items():
        lines = (Line(product_code=product, cash_fen=cash_fen),)
        world.stage.publish(OrderPaid(account_id=1, number=product, occurred_at=NOW, lines=lines))
    await world.stage.settle()
    await world.request(InvoiceIntent(1, "k1", numbers=tuple(products)))
    await world.stage.let_pass(MINUTE)
    rows = await world.rows(
        "invoicing", "SELECT subject, net_fen, tax_fen FROM part WHERE status = 'issued' ORDER BY subject"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("ALICOM_SERVICE", 10_000, 600),
        ("ALICOM_TELECOM", 10_000, 900),
        ("ALIYUN_GOODS", 100_000, 13_000),
        ("ALIYUN_SERVICE", 100_000, 6_000),
        ("BAINIAN_SERVICE", 20_000, 1_200),
    ]


async def test_the_same_key_gets_the_first_answer_and_other_content_a_conflict(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1"))
    await world.stage.settle()
    first = await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    assert await world.request(InvoiceIntent(1, "k1", numbers=("O1",))) == first
    conflict = await world.request(InvoiceIntent(1, "k1", numbers=("O2",)))
    assert isinstance(conflict, Refused)
    assert conflict.code == "IDEMPOTENCY_CONFLICT"
    await world.stage.let_pass(MINUTE)
    assert await statuses(world) == ["invoiced"]


async def test_too_little_left_is_refused_by_the_ledger_and_told(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1", 500))
    await world.stage.settle()
    await world.request(InvoiceIntent(1, "k1", amount_fen=501))
    await world.stage.settle()
    (row,) = await world.rows("invoicing", "SELECT status, reason FROM request")
    assert tuple(row.values()) == ("refused", "INSUFFICIENT_INVOICEABLE")
    (told,) = await world.rows("notification", "SELECT kind, channel FROM notice")
    assert tuple(told.values()) == ("request_refused", "inbox")


async def test_a_cancel_before_submission_voids_at_once_and_frees_the_amount(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1"))
    await world.stage.settle()
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await world.stage.settle(without=("issue",))
    assert await world.cancel(CancelIntent(1, 1)) == "voided"
    await world.stage.settle()
    assert await statuses(world) == ["voided"]
    (item,) = await world.rows("ledger", "SELECT invoiceable_fen, reserved_fen FROM item")
    assert tuple(item.values()) == (100_000, 0)
    assert [row for row in world.platform_log if row["event"] == "call"] == []


async def test_a_cancel_before_the_ledger_answered_gives_the_reservation_back(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1"))
    await world.stage.settle()
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    assert await world.cancel(CancelIntent(1, 1)) == "cancelling"
    await world.stage.settle()
    assert await statuses(world) == ["voided"]
    (item,) = await world.rows("ledger", "SELECT invoiceable_fen, reserved_fen FROM item")
    assert tuple(item.values()) == (100_000, 0)


async def test_a_cancel_after_the_invoice_is_refused(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1"))
    await world.stage.settle()
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await world.stage.let_pass(MINUTE)
    refused = await world.cancel(CancelIntent(1, 1))
    assert isinstance(refused, Refused)
    assert refused.code == "ALREADY_ISSUED"


async def test_a_failure_at_the_platform_frees_the_amount_and_is_told(world: FlowWorld) -> None:
    world.stage.publish(an_account(2, name="FAIL_BUYER_TAXNO 有限公司", at=NOW), source="/upstream/accounts")
    world.stage.publish(an_order("O1", account_id=2))
    await world.stage.settle()
    await world.request(InvoiceIntent(2, "k1", numbers=("O1",)))
    await world.stage.let_pass(MINUTE)
    assert await statuses(world) == ["failed"]
    (item,) = await world.rows("ledger", "SELECT invoiceable_fen, reserved_fen FROM item")
    assert tuple(item.values()) == (100_000, 0)
    assert [mail.subject for mail in world.mailbox.mails] == ["发票开具失败"]


async def test_a_closed_account_is_refused(world: FlowWorld) -> None:
    world.stage.publish(an_order("O1"))
    world.stage.publish(AccountClosed(account_id=1, occurred_at=NOW), source="/upstream/accounts")
    await world.stage.settle()
    refused = await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    assert isinstance(refused, Refused)
    assert refused.code == "ACCOUNT_CLOSED"


async def test_an_individual_gets_no_special_invoice(world: FlowWorld) -> None:
    world.stage.publish(an_account(3, "individual", "张三", at=NOW), source="/upstream/accounts")
    await world.stage.settle()
    refused = await world.request(InvoiceIntent(3, "k1", numbers=("O1",), kind="special"))
    assert isinstance(refused, Refused)
    assert refused.code == "SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON"
