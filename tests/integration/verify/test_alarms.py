"""Each invariant raises the alarm on a planted violation: a checker that can't complain proves nothing."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.verify.__main__ import CHECKS, violations
from deploy.verify.records import ONLY_IN_BATCHES, TAKEN
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import InvoiceIntent
from shared.contracts.accounts import CashToppedUp
from shared.domain.calendar import SHANGHAI
from shared.runtime.transport import Outgoing
from tests.support.databases import Databases
from tests.support.examples import a_refund, an_order
from tests.support.world import FlowWorld, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)

OVERDRAWN = """
    ALTER TABLE item DROP CONSTRAINT item_reserved_fen_check;
    UPDATE item SET reserved_fen = -1, invoiceable_fen = invoiceable_fen + 1 WHERE number = 'O2'
"""
PARKED = """
    INSERT INTO runtime.parked (consumer, topic, partition, "offset", header_names, header_values, reason, text, received_at, parked_at)
    VALUES ('x', 'ledger.commands', 0, 0, '{}', '{}', 'X', 'x', now(), now())
"""
ONLY_MARKED = """
    INSERT INTO runtime.parked (consumer, topic, partition, "offset", header_names, header_values, reason, text, received_at, parked_at,
        status, event_source, event_id, event_type)
    VALUES ('x', 'account.events', 0, 99, '{}', '{}', 'X', 'x', now(), now(), 'redriven', 'x', 'nobody', 'CashToppedUp')
"""
TOLD_TWICE = """
    ALTER TABLE notice DROP CONSTRAINT notice_once;
    INSERT INTO notice (account_id, kind, channel, request_id, part_id, subject, text, files, status, created_at)
    SELECT account_id, kind, channel, request_id, part_id, subject, text, files, status, created_at FROM notice
"""
MOVED_BY_NOBODY = (
    "UPDATE item SET invoiceable_fen = invoiceable_fen - 1, invoiced_fen = invoiced_fen + 1 WHERE number = 'O2'"
)
PAID_BY_NOBODY = """
    INSERT INTO reservation_offset
        (account_id, reservation_id, place, owner_id, from_item_id, to_owner_id, to_item_id, to_number, amount_fen)
    SELECT account_id, 99, 0, account_id, item_id, account_id, item_id + 1, 'F1', 1 FROM item WHERE number = 'O1'
"""
FIRST = "reservation_id = (SELECT min(reservation_id) FROM reservation)"
SQL: dict[str, tuple[str, str]] = {
    "no_item_over_allocated": ("ledger", OVERDRAWN),
    "columns_equal_replay_of_moves": ("ledger", MOVED_BY_NOBODY),
    "sums_equal_items": ("ledger", "UPDATE balance_sum SET positive_fen = positive_fen + 1"),
    "reserved_equals_what_reservations_hold": (
        "ledger",
        f"UPDATE allocation SET invoiced_fen = invoiced_fen - 1 WHERE {FIRST}",
    ),
    "offsets_have_two_sides": ("ledger", PAID_BY_NOBODY),
    "red_is_the_negative_of_its_blue": (
        "invoicing",
        "UPDATE credit_note SET status = 'failed', number = NULL",
    ),
    "one_invoice_for_a_request_group": (
        "ledger",
        f"UPDATE allocation SET reserved_fen = 1, invoiced_fen = 1 WHERE {FIRST}",
    ),
    "quotas_are_what_parts_hold_and_used": ("invoicing", "UPDATE quota SET issued_net_fen = issued_net_fen + 1"),
    "no_invoice_for_what_ended_without": ("invoicing", "UPDATE part SET status = 'failed', number = NULL"),
    "every_invoice_is_known": ("invoicing", "UPDATE part SET number = '99999999999999999999'"),
    "money_reconciles_with_the_platform": (
        "invoicing",
        "UPDATE part SET gross_fen = gross_fen + 1, net_fen = net_fen + 1",
    ),
    "each_invoice_equals_its_shares": ("invoicing", "UPDATE part SET shares = '[]'"),
    "a_terminal_request_holds_nothing": ("ledger", f"UPDATE allocation SET invoiced_fen = 0 WHERE {FIRST}"),
    "every_call_has_an_earlier_attempt": ("invoicing", "DELETE FROM attempt"),
    "history_is_a_path": ("invoicing", "UPDATE part_history SET from_status = 'issued'"),
    "every_record_accounted_for": ("ledger", "UPDATE runtime.consumer_offset SET next_offset = 0"),
    "nothing_committed_left_unpublished": ("ledger", "UPDATE runtime.outbox SET sent_at = NULL"),
    "nothing_of_our_own_is_parked": ("ledger", PARKED),
    "every_effect_once": ("ledger", "UPDATE item SET number = 'elsewhere' WHERE number = 'O2'"),
    "every_refund_once": ("ledger", "UPDATE refund SET cash_fen = cash_fen + 1"),
    "cash_equals_top_ups": ("ledger", "UPDATE cash SET topped_fen = topped_fen + 1"),
    "one_notice_for_a_fact_and_channel": ("notification", TOLD_TWICE),
    "every_invoice_was_told": ("notification", "DELETE FROM notice"),
    "every_event_is_accounted_for": ("notification", "DELETE FROM runtime.inbox WHERE topic = 'invoicing.events'"),
    "what_was_redriven_took_effect": ("ledger", ONLY_MARKED),
}


@pytest.fixture
async def world(databases: Databases, tmp_path: Path) -> AsyncIterator[FlowWorld]:
    """One invoice issued and told, one credited, one order left."""
    flow = await FlowWorld(NOW).open(databases, tmp_path)
    flow.stage.publish(an_account(1, at=NOW), source="/upstream/accounts")
    flow.stage.publish(
        CashToppedUp(account_id=1, occurred_at=NOW, number="T1", cash_fen=5), source="/upstream/accounts"
    )
    flow.stage.publish(an_order("O1", 106_000))
    flow.stage.publish(an_order("O2", 500))
    flow.stage.publish(an_order("O3", 700))
    flow.stage.publish(a_refund("F2", of="O2", cash_fen=1))
    await flow.stage.settle()
    await flow.request(InvoiceIntent(1, "k1", numbers=("O1",)))
    await flow.request(InvoiceIntent(1, "k3", numbers=("O3",)))
    await flow.stage.let_pass(timedelta(minutes=2))
    (credited,) = [row["number"] for row in flow.platform_log if row["event"] == "issued" and row["gross_fen"] == 700]
    await flow.credit(CreditNoteIntent(1, "c1", credited))
    await flow.stage.let_pass(timedelta(minutes=2))
    assert await violations(flow) == {}
    yield flow
    await flow.close()


async def plant(world: FlowWorld, name: str) -> None:
    if name in SQL:
        service, statement = SQL[name]
        owner = await asyncpg.connect(world.stage.processes[service].database.dsn)
        await owner.execute(statement)
        await owner.close()
        return
    issued = next(row for row in world.platform_log if row["event"] == "issued")
    serial = (await world.rows("invoicing", "SELECT serial FROM part ORDER BY part_id"))[0]["serial"]
    if name == "one_invoice_for_a_part":
        world.storage.log({**issued, "number": "1" * 20})
    elif name == "numbers_and_serials_unique":
        world.storage.log({**issued, "serial": serial})
    elif name == "nothing_published_that_was_not_committed":
        world.stage.log.append(Outgoing("ledger.events", b"1", b"{}", (("ce_id", b"nobody"),)))
    elif name == "every_unreadable_record_is_parked":
        world.stage.log.append(Outgoing("billing.events", b"1", b"{", ()))
    elif name == "nothing_is_said_twice":
        _say_again_under_another_id(world)
    elif name == "order_per_key":
        _swap_two_messages(world)
    elif name == "nothing_personal_in_clear":
        world.stage.log.append(Outgoing("ledger.events", "示例科技有限公司".encode(), b"{}", ()))
    else:
        raise AssertionError(f"nothing is planted for {name}")


def _say_again_under_another_id(world: FlowWorld) -> None:
    for partition in world.stage.log.of_topic("ledger.events"):
        for record in list(world.stage.log.records[partition]):
            headers = tuple((name, b"another" if name == "ce_id" else value) for name, value in record.headers)
            world.stage.log.append(Outgoing("ledger.events", record.key or b"", record.value or b"", headers))


def _swap_two_messages(world: FlowWorld) -> None:
    """The part's second message stands where its first one stood."""
    for partition in world.stage.log.of_topic("invoicing.events"):
        records = world.stage.log.records[partition]
        places = [place for place, record in enumerate(records) if b'"part_id"' in (record.value or b"")]
        if len(places) > 1:
            first, second = records[places[0]], records[places[1]]
            records[places[0]], records[places[1]] = (
                type(first)(partition, first.offset, second.key, second.value, second.headers),
                type(first)(partition, second.offset, first.key, first.value, first.headers),
            )


@pytest.mark.parametrize("name", [check.__name__ for check in CHECKS])
async def test_a_planted_violation_is_noticed(name: str, world: FlowWorld) -> None:
    await plant(world, name)
    assert name in await violations(world)


async def test_other_money_under_the_id_of_another_event_is_noticed(world: FlowWorld) -> None:
    """As if the ledger had taken it for a repeat."""
    record = next(
        record
        for part in world.stage.log.of_topic("account.events")
        for record in world.stage.log.records[part]
        if b"cash_fen" in (record.value or b"")
    )
    value = (record.value or b"").replace(b'"cash_fen":5', b'"cash_fen":6')
    world.stage.log.append(Outgoing("account.events", record.key or b"", value, record.headers))
    assert "every_event_is_accounted_for" in await violations(world)


async def test_the_checker_knows_what_each_service_takes(world: FlowWorld) -> None:
    """It shares no code with them, so it has a table of its own."""
    for name, process in world.stage.processes.items():
        handled: dict[str, set[str]] = {}
        for kind in process.service.handlers:
            handled.setdefault(kind.topic, set()).add(kind.__name__)
        assert {topic: {*types} for topic, types in TAKEN[name].items()} == handled
        assert ONLY_IN_BATCHES.get(name, ()) == tuple(process.service.batches)
