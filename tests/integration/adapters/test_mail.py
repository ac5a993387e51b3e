"""The mail adapter against the sandbox sink, and against servers that refuse in every way SMTP knows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, Ports
from services.notification.channels import port as notes
from services.notification.channels.adapters.mail import SmtpMailSender
from tests.integration.adapters.bad_servers import somebody
from tests.integration.adapters.examples import MAIL, PDF
from tests.integration.adapters.sandbox import Sandbox


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
    answers: dict[str, str], outcome: notes.SendAnswer
) -> None:
    async with mail_server(**answers) as sender:
        assert await sender.send(MAIL) == outcome


async def test_a_mail_server_that_is_away_is_unknown(ports: Ports) -> None:
    (port,) = ports.any_free(1)
    async with SmtpMailSender(LOOPBACK, port, "kaipiao@example.test") as sender:
        assert isinstance(await sender.send(MAIL), notes.Unknown)
