"""One JSON line for each settled fact, with trace and ids; libraries and uncaught errors through the same pipe; no value of anybody."""

import asyncio
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from asyncpg import Connection
from fastapi import APIRouter
from opentelemetry import trace

from deploy.local import folders
from services.ledger.app import MIGRATIONS as LEDGER
from services.ledger.app import build as ledger
from shared.contracts.invoicing import InvoiceFailed, InvoiceIssued, PartFact, RequestRefused, Share
from shared.contracts.message import Message
from shared.contracts.notices import NoticeFailed
from shared.contracts.topics import TOPICS
from shared.runtime import envelope, facts, logs, tracing
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.outbox import Relay
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.transport import Partition, Record
from shared.runtime.workers import Job, JobRunner
from tests.conftest import OpenDatabase
from tests.support.edge import TOKEN, app_of, serving
from tests.support.lines import lines_of, logging_as, told

PERSONAL = "张三 13800001001 zhang@customer.example 91330106MA2CANARY1"
NOW = datetime(2026, 3, 10, tzinfo=UTC)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUIET = {
    *("OrderPaid", "BillSettled", "RefundSettled", "BillAdjusted", "UsageRecorded"),
    *("AccountRegistered", "RegistrationChanged", "AccountClosed", "RelationChanged", "CashToppedUp"),
    *("SealingKeyIssued", "TitleChanged", "RecipientChanged", "MemberChanged", "BalanceChanged"),
    *("ReserveBalance", "OffsetDeficit", "ReleaseReservation", "BalanceReserved", "ReservationReleased"),
    *("AmountInvoiced", "AmountCredited"),
}
"""Messages that are no line of their own: another fact tells of the same, or there are too many."""


@pytest.fixture(autouse=True)
def _as_a_process() -> Iterator[None]:
    tracing.configure("test", "1", otlp_endpoint="")
    with logging_as("ledger"):
        yield


def part_fact(kind: type[PartFact], **more: object) -> PartFact:
    return kind.model_validate(
        {
            "account_id": 7,
            "request_id": 1,
            "part_id": 2,
            "reservation_id": 3,
            "subject": "ALIYUN_SERVICE",
            "legal_entity": "ALIYUN",
            "content": "cloud",
            "tax_percent": 6,
            "kind": "general",
            "gross_fen": 106,
            "net_fen": 100,
            "tax_fen": 6,
            "shares": (Share(group_no=1, amount_fen=106),),
            "serial": "A" * 20,
            **more,
        }
    )


# facts


def test_every_message_is_a_fact_that_is_told_or_is_quiet_on_purpose() -> None:
    names = {message.__name__ for topic in TOPICS.values() for message in topic.messages}
    assert names - {*facts.FACTS} - QUIET == set()
    assert {*facts.FACTS} & QUIET == set()
    assert {*facts.FACTS} - names <= {"RecordParked"}


def test_a_published_fact_is_one_line_with_its_trace_and_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    issued = part_fact(InvoiceIssued, number="2" * 20, issued_at=NOW, specimen=True)
    failed = part_fact(InvoiceFailed, reason="BAD_TAX_ID", text=PERSONAL)
    refused = RequestRefused(account_id=7, request_id=1, reason="CLOSED", detail={"name": PERSONAL})
    notice = NoticeFailed(account_id=7, notice_id=9, channel="mail", kind="invoice", reason="ADDRESS_REFUSED")
    messages: list[Message] = [issued, failed, refused, notice]
    facts.published([envelope.write(one, UUID(int=1), "/kaipiao/invoicing", NOW, PARENT) for one in messages])
    lines = lines_of(capsys)
    assert [(line["event"], line["level"]) for line in lines] == [
        ("invoice_issued", "info"),
        ("invoice_failed", "error"),
        ("request_refused", "warning"),
        ("notice_failed", "error"),
    ]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {tuple(PARENT.split("-")[1:3])}
    assert {line["account_id"] for line in lines} == {7}
    assert (lines[0]["part_id"], lines[0]["serial"], lines[0]["number"]) == (2, "A" * 20, "2" * 20)
    assert (lines[1]["reason"], "text" in lines[1], "detail" in lines[2]) == ("BAD_TAX_ID", False, False)


@pytest.mark.database
async def test_what_a_handler_answers_is_told_when_the_broker_has_it_and_not_before(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = runtime_of(Service("invoicing", tmp_path), await open_database(tmp_path))

    async def handler(_: str, __: Connection, ___: datetime) -> tuple[None, Sequence[Message]]:
        return None, [RequestRefused(account_id=7, request_id=1, reason="CLOSED")]

    with trace.get_tracer("test").start_as_current_span("POST"):
        trace_id = tracing.trace_id()
        await runtime.intent(handler, "ask")
    assert told(lines_of(capsys), "request_refused") == []
    await runtime.relay.step()
    (line,) = told(lines_of(capsys), "request_refused")
    assert (line["account_id"], line["trace_id"]) == (7, trace_id)
    await runtime.relay.step()
    assert told(lines_of(capsys), "request_refused") == []


@pytest.mark.database
async def test_a_parked_record_is_a_line_with_its_place_account_and_trace_and_without_its_content(
    open_database: OpenDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = runtime_of(ledger(Settings(_env_file=None)), await open_database(LEDGER))
    data = {"account_id": 7, "number": PERSONAL, "lines": [], "name": PERSONAL}
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "e1",
        "ce_type": "OrderPaid",
        "ce_source": "/acme",
        "traceparent": PARENT,
    }
    headers |= {"ce_time": NOW.isoformat(), "content-type": "application/json"}
    wire = tuple((name, value.encode()) for name, value in headers.items())
    bad = Record(Partition("billing.events", 0), 0, b"7", json.dumps(data, ensure_ascii=False).encode(), wire)
    worse = Record(Partition("billing.events", 0), 1, PERSONAL.encode(), PERSONAL.encode(), ())
    await runtime.consumers["ledger.billing.events"].on_batch([bad, worse])
    output = capsys.readouterr().err
    lines = told([json.loads(line) for line in output.splitlines()], "record_parked")
    assert [(line["topic"], line["offset"], line["reason"]) for line in lines] == [
        ("billing.events", 0, "BREAKS_CONTRACT"),
        ("billing.events", 1, "NOT_JSON"),
    ]
    assert (lines[0]["account_id"], lines[0]["type"], lines[0]["trace_id"]) == (7, "OrderPaid", PARENT.split("-")[1])
    assert not any(one in json.dumps(lines, ensure_ascii=False) for one in PERSONAL.split())


@pytest.mark.database
async def test_a_relay_that_becomes_active_says_so_once_and_whether_it_took_over(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, transport = await open_database(tmp_path), MemoryTransport(MemoryLog())
    first, second = (Relay(database, transport, Clock(), owner) for owner in ("one", "two"))
    await first.step()
    await first.step()
    await second.step()
    await first.finish()
    await second.step()
    lines = told(lines_of(capsys), "relay_active")
    assert [(line["owner"], line["epoch"], line["taken_over"]) for line in lines] == [
        ("one", 1, False),
        ("two", 2, True),
    ]


@pytest.mark.database
async def test_a_row_that_is_set_aside_is_told_by_its_ids(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = part_fact(InvoiceFailed, reason="X", text=PERSONAL).model_dump()

    async def claim(*_: object) -> dict[str, Any]:
        return failed

    async def work(*_: object) -> Sequence[Message]:
        raise KeyError(PERSONAL)

    async def set_aside(*_: object) -> None:
        return None

    service = Service("ledger", tmp_path, workers=[Job("job", claim, work, set_aside)])
    (runner,) = runtime_of(service, await open_database(tmp_path)).runners
    assert isinstance(runner, JobRunner)
    with pytest.raises(KeyError):
        await runner.step()
    output = capsys.readouterr().err
    (line,) = told([json.loads(one) for one in output.splitlines()], "set_aside")
    assert (line["worker"], line["account_id"], line["part_id"], line["serial"]) == ("job", 7, 2, "A" * 20)
    assert "13800001001" not in output


def runtime_of(service: Service, database: Database) -> Runtime:
    return Runtime(service, database, MemoryTransport(MemoryLog()), Clock(), uuid7, "1")


# libraries


@pytest.mark.parametrize("name", ["uvicorn.error", "aiokafka.consumer", "asyncpg", "faststream", "asyncio", "whoever"])
def test_a_line_of_a_library_is_ours_in_shape_and_holds_only_its_own_words(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger(name)
    log.warning("Heartbeat of %s failed for %s: %s", "ledger.billing.events", PERSONAL, ValueError(PERSONAL))
    log.warning(f"could not write {PERSONAL!r} to <Task {PERSONAL}>")
    log.error("%(who)s is away since %(seconds)d s", {"who": PERSONAL, "seconds": 5})
    try:
        raise ValueError(PERSONAL)
    except ValueError:
        log.exception("Exception in ASGI application\n")
    output = capsys.readouterr().err
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"] for line in lines] == [
        "Heartbeat of ledger.billing.events failed for …: ValueError",
        "could not write … to …",
        "… is away since 5 s",
        "Exception in ASGI application",
    ]
    assert {(line["service"], line["replica"], line["logger"]) for line in lines} == {("ledger", "1", name)}
    assert lines[-1]["error"] == "ValueError"
    assert "test_logs.py" in lines[-1]["at"][-1]
    assert not any(one in json.dumps(lines, ensure_ascii=False) for one in PERSONAL.split())


def test_a_line_that_is_wrongly_written_is_kept_without_what_it_was_given() -> None:
    record = logging.LogRecord("whoever", logging.WARNING, "", 1, "%d of them", (PERSONAL,), None)
    assert logs.own_words(record) == "%d of them"


def test_a_warning_of_python_and_an_error_nobody_caught_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"this is old: {PERSONAL}", stacklevel=1)
    try:
        try:
            raise KeyError(PERSONAL)
        except KeyError as error:
            raise ValueError(PERSONAL) from error
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    output = capsys.readouterr().err
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"] for line in lines if line["event"] == "uncaught"] == ["uncaught"]
    assert (lines[-1]["error"], lines[-1]["because"]) == ("ValueError", ["KeyError"])
    assert "13800001001" not in output


async def test_a_task_nobody_waited_for_is_a_line_without_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.get_running_loop()
    logs.loop_errors(loop)
    loop.call_exception_handler(
        {"message": f"Task exception was never retrieved {PERSONAL}", "exception": ValueError(PERSONAL)}
    )
    output = capsys.readouterr().err
    (line,) = told([json.loads(one) for one in output.splitlines()], "nobody_waited")
    assert line["error"] == "ValueError"
    assert not any(one in json.dumps(line, ensure_ascii=False) for one in PERSONAL.split())


def test_an_error_that_ends_a_process_is_one_json_line() -> None:
    code = "from shared.runtime import logs; logs.configure('title', '2', 'INFO'); raise ValueError('13800001001')"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folders.CHECKOUT, capture_output=True, text=True, check=False
    )
    (line,) = [json.loads(one) for one in ended.stderr.splitlines()]
    assert (ended.returncode, line["service"], line["event"], line["error"]) == (1, "title", "uncaught", "ValueError")
    assert "13800001001" not in ended.stderr


@pytest.mark.database
async def test_a_bug_behind_a_real_server_leaves_its_kind_and_place_and_not_its_text(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def routes(_: Runtime) -> APIRouter:
        router = APIRouter()

        @router.get("/bug/{name}")
        async def bug(name: str) -> None:
            raise ValueError(f"{name} {PERSONAL}")

        return router

    app = app_of(Service("ledger", tmp_path, routes=routes), await open_database(tmp_path))
    async with serving(app) as url, httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        status = (await http.get(f"{url}/bug/13800001001")).status_code
    output = capsys.readouterr().err
    lines = [json.loads(line) for line in output.splitlines()]
    assert status == 500
    assert any(line.get("error") == "ValueError" for line in lines), "a bug leaves a line"
    assert not any(one in json.dumps(lines, ensure_ascii=False) for one in PERSONAL.split())
