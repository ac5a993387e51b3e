"""TLS and logins towards mail, SMS and the tax platform, over real sockets: used when they are set, and nobody else is believed."""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from pydantic import SecretStr

from deploy.local import secure
from deploy.local.keys import Keys
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.port import NotFound, Unknown
from services.notification.channels.adapters.mail import SmtpMailSender
from services.notification.channels.adapters.sms import HttpSmsSender
from services.notification.channels.port import Mail, Sent, Sms
from services.notification.channels.port import Unknown as NotSent
from shared.runtime.security import mail_security, sms_security, tax_platform_security
from shared.runtime.settings import Settings

MAIL = Mail("m1", "a@customer.example", "主题", "text", ())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> secure.Secure:
    return secure.prepare(tmp_path_factory.mktemp("tls"), Keys("t", "k", "p", "s", "o", "q"))


@pytest.fixture(scope="module")
def server_side(certificates: secure.Secure) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def settings(certificates: secure.Secure, **more: object) -> Settings:
    return Settings(_env_file=None, tls_ca_file=str(certificates.ca), **more)  # type: ignore[arg-type]


# HTTP


@dataclass
class Https:
    url: str
    headers: list[str] = field(default_factory=list)


@pytest.fixture
def https(server_side: ssl.SSLContext) -> Iterator[Https]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.headers.append(self.headers.get("Authorization", ""))
            body = json.dumps({"message_id": 1, "state": "not_found"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = server_side.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    seen = Https(f"https://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield seen
    server.shutdown()
    server.server_close()
    thread.join()


async def test_the_tax_platform_is_asked_over_tls_with_our_token(certificates: secure.Secure, https: Https) -> None:
    made = settings(certificates, tax_platform_url=https.url, tax_platform_token=SecretStr("platform token"))
    async with HttpJsonPlatform(https.url, security=tax_platform_security(made)) as platform:
        assert isinstance(await platform.query("S1"), NotFound)
    assert https.headers == ["Bearer platform token"]


async def test_who_shows_a_certificate_of_nobody_we_know_is_not_spoken_to(https: Https) -> None:
    made = Settings(_env_file=None, tax_platform_url=https.url, tax_platform_token=SecretStr("platform token"))
    async with HttpJsonPlatform(https.url, security=tax_platform_security(made)) as platform:
        assert isinstance(await platform.query("S1"), Unknown)
    assert https.headers == []


async def test_sms_go_over_tls_with_our_token(certificates: secure.Secure, https: Https) -> None:
    made = settings(certificates, sms_url=https.url, sms_token=SecretStr("sms token"))
    async with HttpSmsSender(https.url, sms_security(made)) as sms:
        assert isinstance(await sms.send(Sms("o1", "13800001234", "text")), Sent)
    assert https.headers == ["Bearer sms token"]


# mail


@dataclass
class Mails:
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_DATA(self, _server: object, session: object, _envelope: Envelope) -> str:  # noqa: N802
        self.encrypted.append(getattr(session, "ssl", None) is not None)
        return "250 kept"

    def login(self, _server: object, _session: object, _envelope: object, _mechanism: str, said: object) -> AuthResult:
        assert isinstance(said, LoginPassword)
        self.logins.append(said.login.decode())
        return AuthResult(success=said.password == b"mail password")


@contextlib.asynccontextmanager
async def mail_server(context: ssl.SSLContext, *, from_the_start: bool) -> AsyncIterator[tuple[int, Mails]]:
    mails, loop = Mails(), asyncio.get_running_loop()
    options: dict[str, Any] = {"loop": loop, "authenticator": mails.login}
    if from_the_start:
        options |= {"auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    listening = context if from_the_start else None
    server = await loop.create_server(lambda: SMTP(mails, **options), "127.0.0.1", 0, ssl=listening)
    yield server.sockets[0].getsockname()[1], mails
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_goes_over_tls_with_our_login(
    certificates: secure.Secure, server_side: ssl.SSLContext, tls: str
) -> None:
    async with mail_server(server_side, from_the_start=tls == "tls") as (port, mails):
        made = settings(certificates, smtp_tls=tls, smtp_username="kaipiao", smtp_password=SecretStr("mail password"))
        sender = SmtpMailSender("127.0.0.1", port, "invoices@acme.example", mail_security(made))
        assert isinstance(await sender.send(MAIL), Sent)
        assert mails.logins == ["kaipiao"]
        if tls == "starttls":
            assert mails.encrypted == [True]
        strangers = mail_security(Settings(_env_file=None, smtp_tls=tls, smtp_username="kaipiao"))
        assert isinstance(await SmtpMailSender("127.0.0.1", port, "a@b.example", strangers).send(MAIL), NotSent)
        assert mails.logins == ["kaipiao"], "nobody we do not know is given a password"


# certificates


def test_certificates_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    keys = Keys("t", "k", "p", "s", "o", "q")
    made = secure.prepare(tmp_path, keys)
    before = made.certificate.read_bytes()
    assert secure.prepare(tmp_path, keys).certificate.read_bytes() == before
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
    assert made.folder.stat().st_mode & 0o777 == 0o700
