"""The adapters against the real sandbox processes, and against servers that break off, babble or dawdle."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local import process
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.process import Child, Command
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.port import (
    QUOTA_EXCEEDED,
    Accepted,
    Answer,
    BlueDraft,
    CancelHeard,
    Cancelled,
    DraftLine,
    Duplicate,
    Failed,
    Issued,
    NotFound,
    Party,
    Processing,
    QuotaTold,
    Rejected,
    Unknown,
)
from services.notification.adapters import port as notes
from services.notification.adapters.mail import SmtpMailSender
from services.notification.adapters.sms import HttpSmsSender
from shared.domain.calendar import SHANGHAI

CHECKOUT = Path(__file__).parent.parent.parent
READY_SECONDS = 30.0
SERIAL = "S0000000000000000001"
SELLER = Party("示例云计算有限公司", "91330106673959654P")
BUYER = Party("示例科技有限公司", "91110108769914581E")
LINE = DraftLine("*信息技术服务*云服务", "", 10_000, 6, 600, "3040203000000000000")
ORDER = BlueDraft(SERIAL, "special", SELLER, BUYER, (LINE,), 10_600, 10_000, 600, "", "开票员")
SMS = notes.Sms("kaipiao-1-1", "13900000001", "您的发票已开具\u2028金额 106.00 元")
PDF = notes.Attachment("电子发票_26332000000000000001.pdf", "application/pdf", b"%PDF-1.7 \x00\xff")
MAIL = notes.Mail("kaipiao-1-2", "finance@example.test", "您的电子发票已开具", "请查收附件。", (PDF,))


@dataclass
class Sandbox:
    """One sandbox process on ports of its own; killed and started again on the same storage."""

    name: str
    folder: Path
    port: int
    more: dict[str, str]
    running: Child | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        settings = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(self.port), "SANDBOX_DIR": str(self.folder)}
        argv = [sys.executable, "-m", f"deploy.sandbox.{self.name}"]
        self.running = process.start(Command(self.name, argv, os.environ | settings | self.more, None, CHECKOUT))
        await self._until_ready(time.monotonic() + READY_SECONDS)

    async def _until_ready(self, deadline: float) -> None:
        async with httpx2.AsyncClient() as client:
            while time.monotonic() < deadline:
                assert self.running is not None
                assert self.running.alive, f"{self.name} ended with {self.running.exit_status}"
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)
        raise TimeoutError(self.name)

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()

    def ask_to_stop(self) -> int:
        assert self.running is not None
        self.running.ask_to_stop()
        return self.running.popen.wait(timeout=10)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with httpx2.AsyncClient(base_url=self.url) as client:
            return (await client.get(path)).json()

    async def post(self, path: str, body: object) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url) as client:
            return await client.post(path, json=body)


Start = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as chosen:
        yield chosen


@pytest.fixture
async def start(ports: Ports, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a sandbox process; all of them end with the test."""
    started: list[Sandbox] = []

    async def start_one(name: str, **more: str) -> Sandbox:
        started.append(Sandbox(name, tmp_path / name, ports.any_free(1)[0], more))
        await started[-1].start()
        return started[-1]

    yield start_one
    for one in started:
        one.kill()


async def settled(platform: HttpJsonPlatform, serial: str = SERIAL) -> Answer:
    """The platform's last word: asked until it is no longer at work."""
    async with asyncio.timeout(20):
        while True:
            answer = await platform.query(serial)
            if not isinstance(answer, Processing | Unknown):
                return answer
            await asyncio.sleep(0.05)


# the tax platform


async def test_an_order_becomes_a_document_and_the_log_shows_both(start: Start) -> None:
    sandbox = await start("tax_platform")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.query(SERIAL) == NotFound()
        assert await platform.submit(ORDER) == Accepted()
        assert await platform.submit(ORDER) == Duplicate()
        issued = await settled(platform)
        assert isinstance(issued, Issued)
        assert issued.number.startswith("26332")
        assert issued.issued_at.utcoffset() is not None
        assert (issued.gross_fen, issued.net_fen, issued.tax_fen) == (10_600, 10_000, 600)
        assert issued.specimen
        assert issued.qr.startswith("SPECIMEN")
        assert await platform.query(SERIAL) == issued
        refused = await platform.submit(replace(ORDER, remark="another"))
        assert isinstance(refused, Rejected)
        assert refused.code == "SERIAL_REUSED"
    rows = await sandbox.get("/log")
    assert [row["number"] for row in rows if row["event"] == "issued"] == [issued.number]
    assert [row["call"] for row in rows if row["event"] == "call"][:3] == ["query", "submit", "submit"]


async def test_a_document_is_issued_and_logged_though_nobody_asks(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0.1")
    await sandbox.post("/invoices", _body())
    database = sandbox.folder / "platform.sqlite"
    assert await asyncio.to_thread(process.wait_until, lambda: bool(_events(database, "issued")), 20)


async def test_a_refused_buyer_fails_for_good(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(replace(ORDER, buyer=Party("FAIL_BUYER_TAXNO 公司", "1"))) == Accepted()
        assert await settled(platform) == Failed("BUYER_TAX_ID", "购方税号有误")


@pytest.mark.parametrize("delay", ["0.3", "2"])
async def test_a_kill_after_the_acceptance_loses_nothing(start: Start, delay: str) -> None:
    """Killed while orders are in work, and again once they are issued: no order, number or log row is lost or doubled."""
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS=delay)
    serials = [f"S{number:019d}" for number in range(8)]
    async with HttpJsonPlatform(sandbox.url) as platform:
        accepted = [await platform.submit(replace(ORDER, serial=serial)) for serial in serials]
        assert accepted == [Accepted()] * len(serials)
        sandbox.kill()
        assert isinstance(await platform.query(serials[0]), Unknown)
        await sandbox.start()
        assert await platform.submit(replace(ORDER, serial=serials[0])) == Duplicate()
        before = [await settled(platform, serial) for serial in serials]
        sandbox.kill()
        await sandbox.start()
        after = [await platform.query(serial) for serial in serials]
    assert all(isinstance(one, Issued) for one in before)
    assert before == after
    issued = [row for row in await sandbox.get("/log") if row["event"] == "issued"]
    assert sorted(row["serial"] for row in issued) == serials
    assert len({row["number"] for row in issued}) == len(serials)


@pytest.mark.parametrize(
    ("fault", "found"), [("lose_request", NotFound), ("error_5xx", NotFound), ("lose_answer", Issued), ("slow", Issued)]
)
async def test_a_call_without_an_answer_is_unknown_and_the_query_tells(start: Start, fault: str, found: type) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    assert (await sandbox.post("/ops/faults", [fault])).status_code == 200
    async with HttpJsonPlatform(sandbox.url, call_seconds=1.0) as platform:
        assert isinstance(await platform.submit(ORDER), Unknown)
        assert isinstance(await settled(platform), found)


async def test_faults_hit_any_call_and_unknown_ones_are_refused(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    assert (await sandbox.post("/ops/faults", ["lose_answer", "nonsense"])).status_code == 422
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(ORDER) == Accepted()
        await sandbox.post("/ops/faults", ["lose_answer", "error_5xx"])
        assert isinstance(await platform.query(SERIAL), Unknown)
        assert await platform.query(SERIAL) == Unknown("HTTP 503")
        assert isinstance(await settled(platform), Issued)


async def test_a_cancel_ends_what_is_in_work(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="60")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(ORDER) == Accepted()
        assert await platform.cancel(SERIAL) == CancelHeard()
        assert await platform.query(SERIAL) == Cancelled()


async def test_a_cancel_that_comes_too_late_is_heard_and_the_document_stays(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    async with HttpJsonPlatform(sandbox.url) as platform:
        await platform.submit(ORDER)
        assert isinstance(await settled(platform), Issued)
        assert await platform.cancel(SERIAL) == CancelHeard()
        assert isinstance(await platform.query(SERIAL), Issued)
        await sandbox.post("/ops/faults", ["error_5xx"])
        assert isinstance(await platform.cancel(SERIAL), Unknown)


async def test_a_quota_is_told_kept_over_a_kill_and_refuses_what_is_too_much(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    month = f"{datetime.now(SHANGHAI):%Y%m}"
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert isinstance(await platform.quota(SELLER.tax_id, month), QuotaTold)
        await sandbox.post(f"/ops/quotas/{SELLER.tax_id}/{month}", {"limit_net_fen": 15_000, "used_net_fen": 0})
        assert await platform.submit(ORDER) == Accepted()
        assert isinstance(await settled(platform), Issued)
        sandbox.kill()
        await sandbox.start()
        assert await platform.quota(SELLER.tax_id, month) == QuotaTold(15_000, 10_000)
        refused = await platform.submit(replace(ORDER, serial="S0000000000000000002"))
        assert isinstance(refused, Rejected)
        assert refused.code == QUOTA_EXCEEDED


async def test_what_is_no_order_is_refused_over_http_too(start: Start) -> None:
    sandbox = await start("tax_platform")
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        for content in (b"{", b"\xff\xfe", b"[]", b'{"serial": 1}'):
            answer = await client.post("/invoices", content=content)
            assert (answer.status_code, answer.json()["code"]) == (422, "FORMAT")


@pytest.mark.parametrize("name", ["tax_platform", "sms_gateway", "smtp_sink"])
async def test_a_polite_end_is_quick_and_clean(start: Start, ports: Ports, name: str) -> None:
    more = {"SMTP_PORT": str(ports.any_free(1)[0])} if name == "smtp_sink" else {}
    sandbox = await start(name, **more)
    assert await asyncio.to_thread(sandbox.ask_to_stop) in (0, -signal.SIGTERM)


# servers that do not behave

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def somebody(serve: Serve) -> AsyncIterator[str]:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(conversation, LOOPBACK, 0)
    async with server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


def says(content: bytes, status: str = "200 OK") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()

    return serve


async def trickles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever: no pause is long enough for a timeout that counts from byte to byte."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


A_DOCUMENT = {
    "state": "issued",
    "number": "26332000000000000001",
    "issued_at": "2026-11-24T10:00:00+08:00",
    "gross_fen": 10_600,
    "net_fen": 10_000,
    "tax_fen": 600,
    "qr": "",
    "specimen": True,
}
GARBAGE = [
    b"",
    b"<html>login</html>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"[]",
    b"null",
    b"{}",
    b'{"state": ["issued"]}',
    b'{"state": "issued"}',
    b'{"state": "failed"}',
    b'{"state": "rejected", "code": 1, "text": null}',
    b'{"state": "perhaps"}',
    *(
        json.dumps(A_DOCUMENT | change).encode()
        for change in (
            {"number": "1"},
            {"number": 26332000000000000001},
            {"gross_fen": "10600"},
            {"net_fen": 100.5},
            {"issued_at": "yesterday"},
            {"issued_at": "2026-11-24T10:00:00"},
            {"specimen": None},
        )
    ),
]


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: repr(content[:40]))
async def test_an_answer_that_cannot_be_understood_is_unknown(content: bytes) -> None:
    async with somebody(says(content)) as url, HttpJsonPlatform(url) as platform:
        assert isinstance(await platform.query(SERIAL), Unknown)
        assert isinstance(await platform.submit(ORDER), Unknown)


async def test_an_answer_in_the_agreed_words_is_understood() -> None:
    content = json.dumps(A_DOCUMENT).encode()
    async with somebody(says(content)) as url, HttpJsonPlatform(url) as platform:
        assert isinstance(await platform.query(SERIAL), Issued)
    async with somebody(says(content, "502 Bad Gateway")) as url, HttpJsonPlatform(url) as platform:
        assert await platform.query(SERIAL) == Unknown("HTTP 502")


@pytest.mark.parametrize("serve", [trickles, resets])
async def test_a_connection_that_breaks_off_or_dawdles_is_unknown(serve: Serve) -> None:
    async with somebody(serve) as url, HttpJsonPlatform(url, call_seconds=0.5) as platform:
        assert isinstance(await platform.query(SERIAL), Unknown)


async def test_a_platform_that_is_away_is_unknown(ports: Ports) -> None:
    (port,) = ports.any_free(1)
    async with HttpJsonPlatform(f"http://{LOOPBACK}:{port}") as platform:
        assert isinstance(await platform.submit(ORDER), Unknown)


# SMS


async def test_a_message_goes_out_once_also_after_a_kill(start: Start) -> None:
    sandbox = await start("sms_gateway")
    async with HttpSmsSender(sandbox.url) as sender:
        assert await sender.send(SMS) == notes.Sent()
        assert await sender.send(SMS) == notes.Sent()
        sandbox.kill()
        assert isinstance(await sender.send(SMS), notes.Unknown)
        with (sandbox.folder / "messages.jsonl").open("ab") as file:
            file.write(b'{"message_id": 2, "out')  # a write that the kill cut short
        await sandbox.start()
        assert await sender.send(SMS) == notes.Sent()
        assert await sender.send(replace(SMS, out_id="kaipiao-1-9")) == notes.Sent()
        sandbox.kill()
        await sandbox.start()
    sent = await sandbox.get("/messages")
    assert [(one["message_id"], one["out_id"]) for one in sent] == [(1, "kaipiao-1-1"), (2, "kaipiao-1-9")]
    assert sent[0] == {"message_id": 1, "out_id": SMS.out_id, "mobile": SMS.mobile, "text": SMS.text}


async def test_a_number_that_is_none_is_refused_and_what_is_no_message_too(start: Start) -> None:
    sandbox = await start("sms_gateway")
    async with HttpSmsSender(sandbox.url) as sender:
        assert await sender.send(replace(SMS, mobile="nobody")) == notes.Refused("NUMBER_REFUSED")
    bodies: tuple[object, ...] = ([], "text", {"out_id": "1"}, {"out_id": 1, "mobile": "13900000001", "text": "x"})
    for body in bodies:
        assert (await sandbox.post("/messages", body)).status_code in (400, 422)
    assert await sandbox.get("/messages") == []


@pytest.mark.parametrize("status", ["401 Unauthorized", "429 Too Many Requests", "500 Oops", "200 OK", "302 Found"])
async def test_a_refusal_that_is_not_about_the_message_may_pass(status: str) -> None:
    async with somebody(says(b"<html>", status)) as url, HttpSmsSender(url) as sender:
        assert isinstance(await sender.send(SMS), notes.Unknown)


# mail


@pytest.fixture
async def sink(start: Start, ports: Ports) -> AsyncIterator[tuple[Sandbox, SmtpMailSender]]:
    (port,) = ports.any_free(1)
    sandbox = await start("smtp_sink", SMTP_HOST=LOOPBACK, SMTP_PORT=str(port))
    async with SmtpMailSender(LOOPBACK, port, "kaipiao@example.test") as sender:
        yield sandbox, sender


async def test_a_mail_arrives_with_its_files_under_their_chinese_names(sink: tuple[Sandbox, SmtpMailSender]) -> None:
    sandbox, sender = sink
    assert await sender.send(MAIL) == notes.Sent()
    (seen,) = await sandbox.get("/messages")
    assert seen["message_id"] == "<kaipiao-1-2@example.test>"
    assert (seen["to"], seen["subject"]) == (MAIL.recipient, MAIL.subject)
    assert seen["attachments"] == [PDF.name]
    assert Path(seen["file"]).read_bytes().count(b"JVBERi0xLjcgAP8=") == 1


async def test_a_repeat_has_the_same_id_and_long_subjects_survive(sink: tuple[Sandbox, SmtpMailSender]) -> None:
    sandbox, sender = sink
    long = replace(MAIL, subject="电子发票" * 60)
    assert [await sender.send(long), await sender.send(long)] == [notes.Sent()] * 2
    sandbox.kill()
    await sandbox.start()
    seen = await sandbox.get("/messages")
    assert [one["message_id"] for one in seen] == ["<kaipiao-1-2@example.test>"] * 2
    assert {one["subject"] for one in seen} == {long.subject}


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (replace(MAIL, subject="发票\r\nBcc: all@example.test"), "BAD_HEADER"),
        (replace(MAIL, recipient="a@example.test\nRCPT TO:<b@example.test>"), "BAD_HEADER"),
        (replace(MAIL, attachments=(replace(PDF, name="a\r\nb.pdf"),)), "BAD_HEADER"),
        *(
            (replace(MAIL, recipient=text), "BAD_ADDRESS")
            for text in (
                "",
                "a",
                "a@",
                "a@[",
                "a b@x.test",
                "a@x.test,b@x.test",
                "<a@x.test>",
                "财务@x.test",
                '"a@x.test',
            )
        ),
    ],
)
async def test_what_could_change_a_header_or_an_envelope_is_never_sent(
    sink: tuple[Sandbox, SmtpMailSender], mail: notes.Mail, reason: str
) -> None:
    sandbox, sender = sink
    assert await sender.send(mail) == notes.Refused(reason)
    assert await sandbox.get("/messages") == []


@asynccontextmanager
async def mail_server(**answers: str) -> AsyncIterator[SmtpMailSender]:
    """Speaks just enough SMTP to give a chosen answer to a chosen command; `banner` greets, `body` ends the data."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{answers.get('banner', '220 here')}\r\n".encode())
        while line := await reader.readline():
            verb = line[:4].decode().strip().lower()
            answer = answers.get(verb, "354 go on" if verb == "data" else "250 fine")
            writer.write(f"{answer}\r\n".encode())
            if answer.startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(f"{answers.get('body', '250 kept')}\r\n".encode())

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(somebody(serve))
        port = int(url.rpartition(":")[2])
        yield await stack.enter_async_context(SmtpMailSender(LOOPBACK, port, "kaipiao@example.test"))


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({}, notes.Sent()),
        ({"rcpt": "550 nobody here"}, notes.Refused("ADDRESS_REFUSED")),
        ({"rcpt": "450 greylisted, come back"}, notes.Unknown("SMTP 450")),
        ({"mail": "552 too large"}, notes.Refused("MAIL_REFUSED")),
        ({"mail": "550 you may not send"}, notes.Unknown("SMTP 550")),
        ({"body": "554 spam"}, notes.Refused("MAIL_REFUSED")),
        ({"body": "451 disk full"}, notes.Unknown("SMTP 451")),
        ({"banner": "554 go away"}, notes.Unknown("SMTP 554")),
        ({"banner": "hello?"}, notes.Unknown("SMTP -1")),
    ],
)
async def test_only_what_is_said_of_this_mail_for_good_refuses_it(
    answers: dict[str, str], outcome: notes.Outcome
) -> None:
    async with mail_server(**answers) as sender:
        assert await sender.send(MAIL) == outcome


async def test_a_mail_server_that_is_away_is_unknown(ports: Ports) -> None:
    (port,) = ports.any_free(1)
    async with SmtpMailSender(LOOPBACK, port, "kaipiao@example.test") as sender:
        assert isinstance(await sender.send(MAIL), notes.Unknown)


def _body() -> dict[str, Any]:
    return asdict(ORDER)


def _events(database: Path, event: str) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        query = "SELECT body FROM log WHERE json_extract(body, '$.event') = ?"
        return [body for (body,) in db.execute(query, (event,))]
