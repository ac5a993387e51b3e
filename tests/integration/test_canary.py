"""Personal values go through all services, also in bad records and to an outside that quotes them; none of them comes out where operators
look: log lines, metrics, spans, parked previews, topics of ours, the command line.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.gateway.app import MIGRATIONS as GATEWAY
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import InvoiceIntent
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.routing import Platforms
from services.notification.channels.adapters.mail import SmtpMailSender
from services.notification.channels.adapters.sms import HttpSmsSender
from shared.contracts.accounts import AccountRegistered, Registration
from shared.contracts.topics import TOPICS
from shared.domain.calendar import SHANGHAI
from shared.runtime import logs, metrics, tracing
from shared.runtime.transport import Outgoing
from tests.conftest import OpenDatabase
from tests.integration.adapters.bad_servers import Serve, says, somebody
from tests.support.databases import Databases
from tests.support.edge import OPERATOR, TOKEN, app_of, echoing, gateway_before, operations_of, serving
from tests.support.examples import an_order
from tests.support.lines import logging_as
from tests.support.terminal import CHECKOUT, typed
from tests.support.world import FlowWorld, a_credit_code

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
NAME, COMPANY, REMARK, ADDRESS = "卡纳莉", "卡纳莉科技有限公司", "卡纳莉的备注", "卡纳莉路七号"
MOBILE, PHONE, MAILBOX = "13987654321", "0571-87654321", "canary@customer.example"
TAX_ID, BANK_ACCOUNT, BANK = a_credit_code(77), "6222000077778888", "卡纳莉银行"
PERSONAL = {"卡纳莉", "87654321", "canary@", TAX_ID, BANK_ACCOUNT}
"""What must not be found; each value above has one of them in it."""
EVERYTHING = " ".join((NAME, MOBILE, PHONE, MAILBOX, TAX_ID, BANK_ACCOUNT, ADDRESS))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    tracing.configure("canary", "1", otlp_endpoint="")
    exporter, provider = InMemorySpanExporter(), trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(tracing.Guarded(exporter)))
    yield exporter
    exporter.shutdown()


@pytest.fixture(autouse=True)
def _as_a_process() -> Iterator[None]:
    """With every line of every library."""
    with logging_as("canary", "DEBUG"):
        logging.getLogger().setLevel(logging.DEBUG)
        yield


def accounts() -> list[AccountRegistered]:
    company = {"kind": "enterprise", "name": COMPANY, "tax_id": TAX_ID, "address": ADDRESS, "phone": PHONE}
    company |= {"bank_name": BANK, "bank_account": BANK_ACCOUNT}
    both = {1: company, 2: {"kind": "individual", "name": NAME}}
    return [
        AccountRegistered(
            account_id=number,
            occurred_at=NOW,
            registration=Registration.model_validate(registration),
            mailbox=MAILBOX,
            mobile=MOBILE,
        )
        for number, registration in both.items()
    ]


def bad_records() -> Iterator[Outgoing]:
    """Values in places where nobody expects them."""
    data = {"account_id": 1, "occurred_at": NOW.isoformat(), "number": MAILBOX, "currency": NAME, "mailbox": MAILBOX}
    registration = {"kind": NAME, "name": COMPANY, "tax_id": [TAX_ID], "address": {ADDRESS: PHONE}}
    event: dict[str, Any] = {"specversion": "1.0", "id": MOBILE, "source": MAILBOX, "type": "AccountRegistered"}
    event |= {"time": NOW.isoformat(), "data": data | {"registration": registration}}
    bodies = [
        EVERYTHING.encode(),
        json.dumps(event).encode(),
        json.dumps(event | {"type": NAME}).encode(),
        json.dumps(
            event | {"type": "OrderPaid", "data": data | {"lines": [{"cash_fen": MOBILE, "item_name": NAME}]}}
        ).encode(),
        json.dumps(event | {"data": data | {"account_id": MOBILE, EVERYTHING: EVERYTHING}}).encode(),
        json.dumps(event | {"data": EVERYTHING}).encode(),
    ]
    for topic in ("account.events", "billing.events"):
        for body in bodies:
            headers = (("content-type", b"application/cloudevents+json"), (MAILBOX, EVERYTHING.encode()))
            yield Outgoing(topic, EVERYTHING.encode(), body, headers)


async def quotes_the_recipient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server that repeats whom it does not know."""
    writer.write(b"220 mail\r\n")
    while line := await reader.readline():
        known = not line.upper().startswith(b"RCPT")
        writer.write(b"250 ok\r\n" if known else b"550 5.1.1 " + line.strip() + f" {NAME}\r\n".encode())
        await writer.drain()


QUOTES: Serve = says(json.dumps({"error": EVERYTHING}, ensure_ascii=False).encode(), "500 Oops")


@asynccontextmanager
async def world_with(outside: str, databases: Databases, folder: Path) -> AsyncIterator[FlowWorld]:
    world = FlowWorld(NOW)
    async with somebody(QUOTES) as http, somebody(quotes_the_recipient) as smtp:
        if outside == "no platform":
            world.platforms = Platforms(usual=HttpJsonPlatform(http), by_legal_entity={})
        if outside == "no channels":
            world.mailbox = SmtpMailSender("127.0.0.1", int(smtp.rpartition(":")[2]), "us@kaipiao.example")  # type: ignore[assignment]
            world.phones = HttpSmsSender(http)  # type: ignore[assignment]
        await world.open(databases, folder)
        yield world
        await world.close()


async def live(world: FlowWorld) -> None:
    """What customers do, over HTTP where they come that way, rightly and wrongly."""
    for account in accounts():
        world.stage.publish(account, source="/upstream/accounts")
        world.stage.publish(an_order(f"O{account.account_id}", 106_000, account.account_id))
    for record in bad_records():
        world.stage.log.append(record)
    await world.stage.settle()
    for number in (1, 2):
        await world.request(InvoiceIntent(number, "k", numbers=(f"O{number}",), remark=REMARK))
    await world.stage.let_pass(timedelta(minutes=2))
    for row in await world.rows("invoicing", "SELECT account_id, number FROM part WHERE status = 'issued'"):
        note = CreditNoteIntent(row["account_id"], "c", row["number"], "sales_return", False, "", REMARK)
        await world.credit(note)
    await world.stage.let_pass(timedelta(minutes=2))


async def ask_over_http(world: FlowWorld, open_database: OpenDatabase) -> None:
    body = {"numbers": [NAME], "remark": REMARK, NAME: EVERYTHING, "kind": MAILBOX}
    for process in world.stage.processes.values():
        async with serving(app_of(process.service, process.database)) as url, httpx2.AsyncClient(base_url=url) as http:
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "h"}):
                await http.post("/accounts/1/invoice-requests", json=body, headers=headers)
                await http.get(f"/accounts/1/items/{MAILBOX}?before={MOBILE}", headers=headers)
                await http.post(f"/{NAME}/{MAILBOX}", content=EVERYTHING.encode(), headers=headers)
    async with echoing() as (url, seen), gateway_before(await open_database(GATEWAY), url, seen) as gateway:
        key = await gateway.key(1)
        await gateway.http.post("/v1/invoice-requests", json=body, headers=key | {"Idempotency-Key": "h"})
        await gateway.http.get(f"/v1/items/{MAILBOX}", headers={"Authorization": f"Bearer kp_{MAILBOX}"})


async def typed_by_operators(world: FlowWorld, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command line shows of everything that was parked."""
    monkeypatch.setenv("KAIPIAO_VAR", str(folder))
    shown = []
    for name in ("title", "ledger"):
        process = world.stage.processes[name]
        async with serving(operations_of(process.service, process.database)) as url:
            token = OPERATOR["Authorization"].split()[1]
            known = {"operations": {name: url}, "settings": {"OPERATOR_TOKEN": token}}
            (folder / "endpoints.json").write_text(json.dumps(known))
            listed = await typed("parked", "list", "--service", name)
            assert listed.exit_code == 0, listed.stderr
            ids = [line.split()[1] for line in listed.stdout.splitlines() if line.startswith(name)]
            assert len(ids) >= 4, "what was bad is parked"
            shown.append(listed.stdout)
            for words in (["show", ids[0]], ["redrive", *ids]):
                done = await typed("parked", *words, "--service", name)
                shown.append(done.stdout + done.stderr)
    return shown


@pytest.mark.parametrize("outside", ["all answer", "no platform", "no channels"])
async def test_no_personal_value_comes_out_where_operators_look(
    outside: str,
    databases: Databases,
    open_database: OpenDatabase,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.loop_errors(asyncio.get_running_loop())
    async with world_with(outside, databases, tmp_path) as world:
        await live(world)
        await ask_over_http(world, open_database)
        cli = await typed_by_operators(world, tmp_path, monkeypatch)
        ours = [name for name, topic in TOPICS.items() if topic.owner != "upstream"]
        topics = [str(record) for name in ours for record in world.records(name)]
        previews = [
            str(row)
            for name in ("title", "ledger")
            for row in await world.rows(name, "SELECT reason, text FROM runtime.parked")
        ]
    lines = [json.dumps(json.loads(line), ensure_ascii=False) for line in capsys.readouterr().err.splitlines()]
    events = {json.loads(line)["event"] for line in lines}
    wanted = {
        "no platform": "outside_call_failed",
        "no channels": "outside_call_refused",
        "all answer": "invoice_issued",
    }
    assert {"record_parked", wanted[outside]} <= events, "what is looked for was there to be found"
    places = {
        "log lines": lines,
        "metrics": [metrics.exposition("canary", "1").decode()],
        "spans": [span.to_json() for span in spans.get_finished_spans()],
        "parked previews": previews,
        "topics": topics,
        "command line": cli,
    }
    assert all(places.values()), {name: len(texts) for name, texts in places.items()}
    assert {name: found for name, texts in places.items() if (found := _found(texts))} == {}


EXPORTS = """
import sys
from opentelemetry import trace
from shared.runtime import tracing
tracing.configure("title", "1", sys.argv[1])
values = {"url.path": sys.argv[2], "http.route": "/titles"}
try:
    with trace.get_tracer("a library").start_as_current_span("GET", attributes=values) as span:
        span.add_event(sys.argv[2])
        raise ValueError(sys.argv[2])
except ValueError:
    pass
"""


async def test_a_span_that_leaves_the_process_holds_no_value_of_a_library() -> None:
    received = bytearray()

    async def collector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        body = await reader.readexactly(size)
        received.extend(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with somebody(collector) as url:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", EXPORTS, url, MAILBOX, cwd=CHECKOUT)
        assert await process.wait() == 0
    assert b"/titles" in received
    assert MAILBOX.encode() not in received


def _found(texts: list[str]) -> list[str]:
    escaped = {one.encode("unicode_escape").decode() for one in PERSONAL} | {
        str(one.encode())[2:-1] for one in PERSONAL
    }
    return [text[:300] for text in texts if any(one in text for one in PERSONAL | escaped)][:5]
