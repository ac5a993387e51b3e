"""What an operator sees of outside calls, of queues, of HTTP: lines and metrics, each with its service, and no more than names of ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.invoicing.app import MIGRATIONS as INVOICING
from services.invoicing.app import QUEUES as OF_INVOICING
from services.ledger.app import MIGRATIONS as LEDGER
from services.ledger.app import QUEUES as OF_LEDGER
from services.notification.app import MIGRATIONS as NOTIFICATION
from services.notification.app import QUEUES as OF_NOTIFICATION
from shared.contracts.message import Message
from shared.runtime import calls, metrics, tracing
from shared.runtime.clock import Clock, VirtualClock, uuid7
from shared.runtime.database import Database
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.queues import QueueReader
from shared.runtime.service import Runtime, Service
from shared.runtime.workers import Worker, WorkerRunner
from tests.conftest import OpenDatabase
from tests.support.edge import OPERATOR, asking, operations_of
from tests.support.lines import lines_of, logging_as, told

pytestmark = pytest.mark.database

NOW = datetime(2026, 3, 10, tzinfo=UTC)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PERSONAL = "13800001001"


@pytest.fixture(autouse=True)
def _as_a_process() -> Iterator[None]:
    tracing.configure("test", "1", otlp_endpoint="")
    with logging_as("invoicing"):
        yield


# outside calls


@dataclass(frozen=True)
class Due:
    account_id: int
    part_id: int
    serial: str
    remark: str
    traceparent: str


@dataclass(frozen=True)
class Unknown:
    reason: str


@dataclass(frozen=True)
class Rejected:
    code: str
    text: str


@dataclass(frozen=True)
class Issued:
    number: str


class Outside:
    """Answers as it is told to; an exception is raised."""

    def __init__(self, *answers: object) -> None:
        self.answers = [*answers]

    async def claim(self, *_: object) -> Due | None:
        return Due(7, 2, "A" * 20, f"call {PERSONAL}", PARENT) if self.answers else None

    async def call(self, _: Due) -> object:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def outcome(self, *_: object) -> Sequence[Message]:
        return []


async def calling(name: str, outside: Outside, database: Database, folder: Path) -> None:
    service = Service("invoicing", folder, workers=[Worker(name, outside.claim, outside.call, outside.outcome)])
    (runner,) = runtime_of(service, database).runners
    assert isinstance(runner, WorkerRunner)
    for answer in outside.answers[:]:
        if isinstance(answer, Exception):
            with pytest.raises(type(answer)):
                await runner.step()
        else:
            await runner.step()


async def test_a_failed_call_is_a_line_with_its_row_and_its_trace_and_a_labelled_metric(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = Outside(
        *(Unknown("ReadTimeout"), ConnectionError(PERSONAL), Rejected("BAD_TAX_ID", PERSONAL), Issued("2" * 20), None)
    )
    await calling("test_lines", outside, await open_database(tmp_path), tmp_path)
    lines = lines_of(capsys)
    failed = told(lines, "outside_call_failed")
    assert [(line["call"], line["result"], line["reason"]) for line in failed] == [
        ("test_lines", "Unknown", "ReadTimeout"),
        ("test_lines", "raised", "ConnectionError"),
    ]
    (refused,) = told(lines, "outside_call_refused")
    assert (refused["result"], refused["reason"]) == ("Rejected", "BAD_TAX_ID")
    for line in (*failed, refused):
        assert (line["account_id"], line["part_id"], line["serial"]) == (7, 2, "A" * 20)
        assert line["trace_id"] == PARENT.split("-")[1]
        assert line["seconds"] >= 0
    assert PERSONAL not in str(lines)
    for result in ("Unknown", "raised", "Rejected", "Issued"):
        assert sample("kaipiao_outside_call_seconds_count", call="test_lines", result=result) == 1
    assert sample("kaipiao_outside_call_seconds_count", call="test_lines", result="NoneType") is None


async def test_failures_that_go_on_are_an_alarm_until_the_outside_answers(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_database(tmp_path)
    await calling("test_patience", Outside(Unknown("x"), Unknown("x")), database, tmp_path)
    assert told(lines_of(capsys), "outside_call_keeps_failing") == []
    monkeypatch.setattr(calls, "ALARM_AFTER_SECONDS", 0.0)
    await calling("test_alarm", Outside(Unknown("x"), Unknown("x"), Unknown("x")), database, tmp_path)
    (alarm,) = told(lines_of(capsys), "outside_call_keeps_failing")
    assert (alarm["level"], alarm["call"], alarm["failures"]) == ("error", "test_alarm", 1)
    assert (sample("kaipiao_outside_failing_seconds", call="test_alarm") or 0) > 0
    await calling("test_alarm", Outside(Issued("2" * 20)), database, tmp_path)
    assert sample("kaipiao_outside_failing_seconds", call="test_alarm") == 0


# queues


async def test_the_active_relay_reads_depth_and_age_of_each_queue_and_who_stands_by_shows_none(
    open_database: OpenDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = f"SELECT count(*), min(at) FROM (VALUES (timestamptz '{NOW}'), (timestamptz '{NOW}')) AS t (at)"
    queues = {
        "waiting": waiting,
        "empty": "SELECT count(*), NULL::timestamptz FROM runtime.inbox",
        "broken": "SELECT no",
    }
    clock = VirtualClock(NOW + timedelta(seconds=90))
    service = Service("queued", tmp_path, queues=queues)
    runtime = runtime_of(service, await open_database(tmp_path), clock)
    reader = QueueReader(runtime)
    await reader.look()
    assert depth("waiting") is None, "this process does not hold the relay's lease"
    await runtime.relay.step()
    await reader.look()
    await reader.look()
    assert (depth("waiting"), sample("kaipiao_queue_oldest_seconds", service="queued", queue="waiting")) == (2, 90)
    assert (depth("empty"), sample("kaipiao_queue_oldest_seconds", service="queued", queue="empty")) == (0, 0)
    assert [line["queue"] for line in told(lines_of(capsys), "queue_not_read")] == ["broken"]
    await runtime.relay.finish()
    clock.advance(60)
    other = runtime_of(service, runtime.database, clock)
    await other.relay.step()
    await runtime.relay.step()
    await reader.look()
    assert depth("waiting") is None


def depth(queue: str) -> float | None:
    return sample("kaipiao_queue_depth", service="queued", queue=queue)


@pytest.mark.parametrize(
    ("folder", "queues"),
    [(INVOICING, OF_INVOICING), (LEDGER, OF_LEDGER), (NOTIFICATION, OF_NOTIFICATION)],
    ids=["invoicing", "ledger", "notification"],
)
async def test_every_queue_of_a_service_can_be_read_and_says_how_many_and_since_when(
    folder: Path, queues: dict[str, str], open_database: OpenDatabase
) -> None:
    async with (await open_database(folder)).read() as db:
        for statement in queues.values():
            row = await db.fetchrow(statement)
            assert row is not None
            assert tuple(row) == (0, None)


async def test_open_parked_records_are_counted_by_reason_and_a_reason_that_is_gone_goes(
    open_database: OpenDatabase, tmp_path: Path
) -> None:
    runtime = runtime_of(Service("parking", tmp_path), await open_database(tmp_path))
    await runtime.relay.step()
    reader = QueueReader(runtime)
    await park(runtime.database, 3)
    await reader.look()
    labels = {"service": "parking", "consumer": "c", "reason": "NOT_JSON"}
    assert sample("kaipiao_parked_open_by_reason", **labels) == 3
    async with runtime.database.transaction() as db:
        await db.execute("UPDATE runtime.parked SET status = 'dismissed'")
    await reader.look()
    assert sample("kaipiao_parked_open_by_reason", **labels) is None


async def park(database: Database, count: int) -> None:
    async with database.transaction() as db:
        await db.execute(
            """
            INSERT INTO runtime.parked (consumer, topic, "partition", "offset", header_names, header_values, reason, text,
                received_at, parked_at)
            SELECT 'c', 't', 0, n, '{}', '{}', 'NOT_JSON', '', now(), now() FROM generate_series(1, $1) AS n
            """,
            count,
        )


async def test_pools_say_how_many_connections_are_in_use(open_database: OpenDatabase, tmp_path: Path) -> None:
    runtime = runtime_of(Service("pooled", tmp_path), await open_database(tmp_path))
    async with runtime.read(), runtime.read():
        QueueReader(runtime).look_at_pools()
    assert sample("kaipiao_pool_connections", service="pooled", pool="handlers", state="in_use") == 2
    QueueReader(runtime).look_at_pools()
    assert sample("kaipiao_pool_connections", service="pooled", pool="handlers", state="in_use") == 0


# HTTP


async def test_http_is_counted_by_the_pattern_of_the_route_and_never_by_a_path(
    open_database: OpenDatabase, tmp_path: Path
) -> None:
    app = operations_of(Service("routed", tmp_path), await open_database(tmp_path))
    async with asking(app) as http:
        assert (await http.get(f"/ops/parked/{PERSONAL}", headers=OPERATOR)).status_code == 404
        assert (await http.get(f"/{PERSONAL}")).status_code == 404
    assert (sample("kaipiao_http_seconds_count", method="GET", route="/ops/parked/{parked_id}", status="404") or 0) >= 1
    assert (sample("kaipiao_http_seconds_count", method="GET", route="unknown", status="404") or 0) >= 1
    assert PERSONAL.encode() not in metrics.exposition("routed", "1")


async def test_every_sample_says_of_which_service_and_replica_it_is() -> None:
    lines = metrics.exposition("ledger", "2").decode().splitlines()
    samples = [line for line in lines if line.startswith(("kaipiao_", "process_", "python_"))]
    assert samples
    assert [line for line in samples if 'replica="2"' not in line or 'service="' not in line] == []


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def runtime_of(service: Service, database: Database, clock: Clock | None = None) -> Runtime:
    return Runtime(service, database, MemoryTransport(MemoryLog()), clock or Clock(), uuid7, "1")
