"""One trace from the request to the mail: through three outboxes, two databases' due rows and a worker."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry import trace

from services.invoicing.requests.intents import InvoiceIntent
from shared.domain.calendar import SHANGHAI
from shared.runtime import tracing
from tests.support.databases import Databases
from tests.support.examples import an_order
from tests.support.world import FlowWorld, an_account

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)


async def test_the_mail_belongs_to_the_trace_of_its_request(databases: Databases, tmp_path: Path) -> None:
    tracing.configure("test", "1", otlp_endpoint="")
    world = await FlowWorld(NOW).open(databases, tmp_path)
    try:
        world.stage.publish(an_account(1, at=NOW), source="/upstream/accounts")
        world.stage.publish(an_order("O1", 106_000))
        await world.stage.settle()
        with trace.get_tracer("test").start_as_current_span("POST /v1/invoice-requests"):
            trace_id = tracing.trace_id()
            await world.request(InvoiceIntent(1, "k1", numbers=("O1",)))
        await world.stage.let_pass(timedelta(minutes=1))
        rows = await world.rows("notification", "SELECT channel, traceparent FROM notice ORDER BY channel")
        issued = [record for record in world.records("invoicing.events") if record.header("ce_type") == "InvoiceIssued"]
    finally:
        await world.close()
    assert trace_id is not None
    assert {row["channel"]: row["traceparent"].split("-")[1] for row in rows} == dict.fromkeys(
        ("inbox", "mail", "sms"), trace_id
    )
    assert [record.header("traceparent").split("-")[1] for record in issued] == [trace_id]
