"""`python -m deploy.sandbox.smtp_sink`: real SMTP in, one `.eml` file for each mail; GET /messages says what came."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.sandbox.process import folder, serve


class Keep:
    """aiosmtpd's handler: a mail is a file before it is acknowledged."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        number = len(mails(self.path)) + 1
        assert isinstance(envelope.content, bytes)
        half = self.path / f"{number:06d}.half"
        with half.open("wb") as file:
            file.write(envelope.content)
            file.flush()
            os.fsync(file.fileno())
        half.rename(half.with_suffix(".eml"))
        return "250 kept"


def mails(path: Path) -> list[Path]:
    return sorted(path.glob("*.eml"))


def sink(path: Path, host: str, port: int) -> Starlette:
    keep = Keep(path)

    async def messages(_: Request) -> JSONResponse:
        return JSONResponse([_summary(file) for file in mails(path)])

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(keep, enable_SMTPUTF8=True, loop=loop), host, port)
        yield
        server.close()
        await server.wait_closed()

    return Starlette(routes=[Route("/messages", messages), Route("/readyz", ready)], lifespan=lifespan)


def _summary(file: Path) -> dict[str, object]:
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    return {
        "file": str(file),
        "message_id": mail["Message-ID"],
        "to": mail["To"],
        "subject": mail["Subject"],
        "attachments": [part.get_filename() for part in mail.iter_attachments()],
    }


if __name__ == "__main__":
    serve(sink(folder() / "mail", os.environ.get("SMTP_HOST", "127.0.0.1"), int(os.environ.get("SMTP_PORT", "8125"))))
