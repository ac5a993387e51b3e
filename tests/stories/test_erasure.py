"""The personal data of an account are erased: nothing of them is left where it could be read, and what the law keeps stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deploy.sandbox.tax_platform.direct import scripted
from deploy.verify.__main__ import violations
from services.gateway.app import MIGRATIONS as GATEWAY
from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from shared.contracts.accounts import AccountRegistered, Registration
from shared.contracts.topics import TOPICS
from shared.domain.calendar import SHANGHAI
from shared.runtime import parked
from shared.runtime.account_keys import KeyAway
from shared.runtime.sealing import keys_in
from shared.runtime.transport import Outgoing
from tests.conftest import OpenDatabase
from tests.simulation.faults import Crash, FaultyDatabase, Plan
from tests.support.databases import Databases
from tests.support.dumped import dumped, keys_found
from tests.support.examples import an_order
from tests.support.world import SETTINGS, FlowWorld, a_credit_code, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
MINUTE = timedelta(minutes=1)
TAX_ID = a_credit_code(77)
PERSONAL = ("卡纳莉", "87654321", "canary@", TAX_ID, "6222000077778888")
COMPANY = Registration(
    kind="enterprise",
    name="卡纳莉科技有限公司",
    tax_id=TAX_ID,
    address="卡纳莉路七号",
    phone="0571-87654321",
    bank_name="卡纳莉银行",
    bank_account="6222000077778888",
)
CANARY = AccountRegistered(
    account_id=1, occurred_at=NOW, registration=COMPANY, mailbox="canary@customer.example", mobile="13987654321"
)


@pytest.fixture
async def world(databases: Databases, tmp_path: Path) -> AsyncIterator[FlowWorld]:
    """The platform takes its time."""
    async with told(FlowWorld(NOW, issue_delay_seconds=20.0), databases, tmp_path) as flow:
        yield flow


@asynccontextmanager
async def told(flow: FlowWorld, databases: Databases, folder: Path) -> AsyncIterator[FlowWorld]:
    """Account 1 is registered and has spent."""
    await flow.open(databases, folder, FaultyDatabase)
    flow.stage.publish(CANARY, source="/upstream/accounts")
    for number in ("O1", "O2", "O3"):
        flow.stage.publish(an_order(number, 106_000))
    await flow.stage.settle()
    yield flow
    await flow.close()


async def erased(world: FlowWorld, account_id: int = 1) -> bool:
    rows = await world.rows("title", "SELECT ended_at FROM erasure WHERE account_id = $1", account_id)
    return bool(rows) and all(row["ended_at"] is not None for row in rows)


async def request_states(world: FlowWorld) -> list[tuple[str, str | None]]:
    rows = await world.rows("invoicing", "SELECT status, reason FROM request ORDER BY request_id")
    return [(row["status"], row["reason"]) for row in rows]


def ours(world: FlowWorld) -> list[str]:
    return [
        (record.value or b"").decode()
        for name, topic in TOPICS.items()
        if topic.owner != "upstream"
        for record in world.records(name)
    ]


def a_bad_record(world: FlowWorld, body: str) -> None:
    headers = (("content-type", b"application/cloudevents+json"), ("canary@customer.example", "卡纳莉".encode()))
    world.stage.log.append(Outgoing("account.events", b"1", body.encode(), headers))


async def test_after_an_erasure_nothing_personal_and_no_key_is_in_any_database_or_topic(
    world: FlowWorld, open_database: OpenDatabase
) -> None:
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",), remark="合同 7"))
    await world.stage.let_pass(MINUTE)
    await world.request(InvoiceIntent(1, "k2", numbers=("O2",)))
    a_bad_record(world, f'{{"account_id": 1, "name": "卡纳莉", "tax_id": "{TAX_ID}"}}')
    a_bad_record(world, "卡纳莉 canary@customer.example 6222000077778888")
    await world.stage.settle()
    databases = {name: process.database for name, process in world.stage.processes.items()}
    databases["gateway"] = await open_database(GATEWAY)
    masters = keys_in(SETTINGS.sealing_key.get_secret_value())
    before = {name: await dumped(database) for name, database in databases.items()}
    assert all(one in before["title"] for one in PERSONAL), "what is looked for is there to be found"
    assert keys_found([before["title"]], masters), "and so is the key"
    assert not keys_found([text for name, text in before.items() if name != "title"], masters), "which title alone has"

    await world.erase(1)
    await world.stage.let_pass(5 * MINUTE)
    assert await erased(world)
    texts = {name: await dumped(database) for name, database in databases.items()} | {"topics": "\n".join(ours(world))}
    assert {name: [one for one in PERSONAL if one in text] for name, text in texts.items()} == {
        name: [] for name in texts
    }
    assert keys_found(texts.values(), masters) == set()

    assert await request_states(world) == [("invoiced", None), ("invoiced", None)]
    files = await world.rows("invoicing", "SELECT name FROM invoice_file")
    assert len(files) == 4, "the law keeps them"
    assert await violations(world) == {}


async def test_open_requests_end_as_voided_with_the_reason_and_give_their_amount_back(world: FlowWorld) -> None:
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await world.stage.settle(without=("issue",))
    await world.request(InvoiceIntent(1, "k2", numbers=("O2",)))
    await world.erase(1)
    await world.stage.settle()
    assert await request_states(world) == [("voided", "ACCOUNT_DATA_ERASED")] * 2
    assert await erased(world)
    (held,) = await world.rows("ledger", "SELECT sum(reserved_fen) AS reserved_fen FROM item WHERE account_id = 1")
    assert held["reserved_fen"] == 0
    (row,) = await world.rows("invoicing", "SELECT DISTINCT title - 'version' - 'title_id' AS title FROM request")
    assert row["title"] == '{"kind": "enterprise"}'
    assert await violations(world) == {}


async def test_what_the_platform_has_issued_is_drawn_before_the_keys_go(databases: Databases, tmp_path: Path) -> None:
    """Its answer was lost, so that nobody here knows yet, and the wish to cancel comes too late."""
    flow = FlowWorld(NOW, fault=scripted(["lose_answer"]))
    async with told(flow, databases, tmp_path) as world:
        await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
        await world.stage.settle()
        await world.erase(1)
        await world.stage.settle(without=("files",))
        assert not await erased(world)
        assert "卡纳莉" not in await dumped(world.stage.processes["title"].database), (
            "what stood in clear is gone at once"
        )
        await world.stage.settle()
        assert await erased(world)
        assert await request_states(world) == [("invoiced", None)]
        assert len(await world.rows("invoicing", "SELECT FROM invoice_file")) == 2


async def test_while_it_lasts_and_after_it_everything_new_is_refused_with_the_same_code(world: FlowWorld) -> None:
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await world.stage.let_pass(MINUTE)
    (part,) = await world.rows("invoicing", "SELECT number FROM part")
    await world.erase(1)
    for _ in range(2):
        await world.stage.settle()
        for answer in (
            await world.request(InvoiceIntent(1, "k2", numbers=("O2",))),
            await world.request(InvoiceIntent(1, "k3", numbers=("O2",), subject="ALIYUN_SERVICE", pays_deficit=True)),
            await world.credit(CreditNoteIntent(1, "c1", part["number"])),
        ):
            assert isinstance(answer, Refused)
            assert answer.code == "ACCOUNT_DATA_ERASED"
        await world.stage.let_pass(2 * MINUTE)
    assert await erased(world)
    assert await world.request(InvoiceIntent(1, "k1", numbers=("O1",))) == AcceptedRequest(1), "a repeat is answered"


async def test_who_registers_anew_has_a_new_key_and_is_served(world: FlowWorld) -> None:
    world.stage.clock.advance(60)
    await world.erase(1)
    world.stage.publish(
        CANARY.model_copy(update={"occurred_at": NOW + timedelta(seconds=30)}), "late", "/upstream/accounts"
    )
    await world.stage.settle()
    assert (
        await world.rows("title", "SELECT FROM title UNION ALL SELECT FROM recipient WHERE mailbox IS NOT NULL") == []
    )
    assert isinstance(await world.request(InvoiceIntent(1, "k1", numbers=("O1",))), Refused)
    world.stage.clock.advance(60)
    world.stage.publish(an_account(1, at=NOW + 2 * MINUTE), "anew", "/upstream/accounts")
    await world.stage.settle()
    assert await world.rows("title", "SELECT key_no FROM sealing_key WHERE wrapped_key IS NOT NULL") == [{"key_no": 2}]
    assert isinstance(await world.request(InvoiceIntent(1, "k2", numbers=("O1",))), AcceptedRequest)
    await world.stage.let_pass(2 * MINUTE)
    assert [mail.recipient for mail in world.mailbox.mails] == ["finance-1@customer.example"]
    assert await violations(world) == {}


async def test_a_registration_in_the_middle_of_it_is_kept_and_what_was_before_goes(world: FlowWorld) -> None:
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await world.stage.settle()
    await world.erase(1)
    world.stage.clock.advance(1)
    world.stage.publish(an_account(1, at=NOW + timedelta(seconds=1)), "anew", "/upstream/accounts")
    await world.stage.let_pass(2 * MINUTE)
    assert await erased(world)
    keys = await world.rows("title", "SELECT key_no, wrapped_key IS NULL AS dropped FROM sealing_key ORDER BY key_no")
    assert [tuple(row.values()) for row in keys] == [(1, True), (2, False)]
    assert isinstance(await world.request(InvoiceIntent(1, "k2", numbers=("O2",))), AcceptedRequest)


async def test_while_title_is_away_work_waits_and_nothing_fails(world: FlowWorld) -> None:
    await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    world.keys.away = True
    with pytest.raises(KeyAway):
        await world.stage.settle()
    with pytest.raises(KeyAway):
        await world.request(InvoiceIntent(1, "k2", numbers=("O2",)))
    (part,) = await world.rows("invoicing", "SELECT status, reason FROM part")
    assert (part["status"], part["reason"]) == ("submitting", None)
    assert await world.request(InvoiceIntent(1, "k1", numbers=("O1",))) == AcceptedRequest(1), "a repeat needs no key"
    world.keys.away = False
    await world.stage.let_pass(3 * MINUTE)
    assert await request_states(world) == [("invoiced", None)]
    for name in world.stage.processes:
        assert await world.rows(name, "SELECT FROM runtime.parked") == []
    assert len(world.mailbox.mails) == 1


async def test_parked_records_of_the_account_are_forgotten_unless_they_are_open(world: FlowWorld) -> None:
    bad = '{"specversion": "1.0", "id": "%s", "source": "/x", "type": "AccountRegistered", "time": "2026-03-10T10:00:00+08:00",'
    bad += ' "data": {"account_id": 1, "occurred_at": "2026-03-10T10:00:00+08:00", "registration": {"name": "卡纳莉"}}}'
    for number in "ab":
        a_bad_record(world, bad % number)
    await world.stage.settle()
    title = world.stage.processes["title"]
    await parked.dismiss(title.database, 1, "li", "broken", world.stage.clock)
    await world.erase(1)
    await world.stage.settle()
    forgotten = "SELECT parked_id FROM runtime.parked WHERE sealed IS NULL AND forgotten_at IS NOT NULL ORDER BY 1"
    assert await world.rows("title", forgotten) == [{"parked_id": 1}]
    async with title.database.read() as db:
        assert (await parked._record(db, 1, title.runtime.parking))[0].value is None
        assert "卡纳莉" in ((await parked._record(db, 2, title.runtime.parking))[0].value or b"").decode()
    await parked.dismiss(title.database, 2, "li", "broken", world.stage.clock)
    await world.erase(1)
    assert await world.rows("title", forgotten) == [{"parked_id": 1}, {"parked_id": 2}]


ROUNDS = 12


@pytest.mark.parametrize("kind", ["dies before commit", "dies after commit"])
@pytest.mark.parametrize("service", ["title", "invoicing", "notification", "ledger"])
async def test_wherever_a_process_dies_the_erasure_ends(service: str, kind: str, world: FlowWorld) -> None:
    """Each time of another account, at another of the transactions that follow."""
    died = 0
    for account_id in range(2, 2 + ROUNDS):
        world.stage.publish(an_account(account_id, at=world.stage.clock.now()), source="/upstream/accounts")
        world.stage.publish(an_order(f"A{account_id}", 106_000, account_id, at=world.stage.clock.now()))
        await world.stage.settle()
        await world.request(InvoiceIntent(account_id, "k1", numbers=(f"A{account_id}",)))
        await world.erase(account_id)
        database = world.stage.processes[service].database
        assert isinstance(database, FaultyDatabase)
        database.arm(Plan(kind, account_id - 2))
        died += await at_rest(world)
        await world.stage.let_pass(timedelta(seconds=70))  # a lease that nobody holds any more runs out
        assert await erased(world, account_id), account_id
        assert (
            await world.rows(
                "title", "SELECT FROM sealing_key WHERE account_id = $1 AND wrapped_key IS NOT NULL", account_id
            )
            == []
        )
        left = "SELECT FROM request WHERE account_id = $1 AND (title ? 'name' OR closed_at IS NULL)"
        assert await world.rows("invoicing", left, account_id) == []
        left = "SELECT FROM recipient WHERE account_id = $1 AND (mailbox IS NOT NULL OR mobile IS NOT NULL)"
        assert await world.rows("notification", left, account_id) == []
    assert died > ROUNDS / 3, "a crash that never happens shows nothing"
    assert await violations(world) == {}


async def at_rest(world: FlowWorld) -> int:
    """How often somebody died on the way."""
    for died in range(3):
        try:
            await world.stage.settle()
        except Crash:
            for process in world.stage.processes.values():
                await process.start()
        else:
            for process in world.stage.processes.values():
                process.database.disarm()  # type: ignore[attr-defined]
            return died
    raise AssertionError("it dies again and again")
