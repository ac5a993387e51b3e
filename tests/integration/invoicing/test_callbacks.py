"""The platform calls back over real HTTP: believed only when signed, and then only enough to ask."""

import asyncio
import hmac
import json

import httpx2
import pytest

from deploy.demo.client import eventually
from deploy.sandbox.tax_platform.callbacks import Callbacks
from services.invoicing.tax_platforms.port import Unknown
from tests.integration.invoicing.desk import Desk
from tests.support.world import SETTINGS

pytestmark = pytest.mark.database

SECRET = SETTINGS.tax_platform_secret.get_secret_value()


@pytest.fixture
def url(api: str) -> str:
    """Where this desk's callbacks are taken."""
    return f"{api}/tax-platform/callbacks"


@pytest.fixture
async def waiting(desk: Desk) -> str:
    """The serial of a part that nobody will ask about for a while."""
    await desk.queued_part()
    part = await desk.claimed()
    await desk.came(part, Unknown("timeout"))
    assert await desk.claim() is None
    return part.serial


async def test_what_the_platform_says_makes_its_part_due(url: str, waiting: str, desk: Desk) -> None:
    platform = Callbacks(url, SECRET)
    platform.tell([waiting])
    claimed = await eventually("the part is due", desk.claim)
    assert (claimed.serial, claimed.step) == (waiting, "query")
    await platform.close()


@pytest.mark.parametrize(
    ("body", "secret", "status"),
    [
        (b'{"serial": "0000000000000000000Z"}', SECRET, 204),
        (b'{"serial": "0000000000000000000Z", "state": "issued", "number": "1"}', SECRET, 204),
        (b'{"serial": "0000000000000000000Z"}', "another", 401),
        (b'{"serial": "\'; DROP TABLE part"}', SECRET, 401),
        (b'{"serial": 7}', SECRET, 401),
        (b"\xff", SECRET, 401),
        (b"", SECRET, 401),
    ],
    ids=["unknown serial", "more than a hint", "wrong secret", "no serial", "a number", "no text", "empty"],
)
async def test_only_signed_words_about_a_serial_are_taken(
    body: bytes, secret: str, status: int, url: str, waiting: str, desk: Desk
) -> None:
    signed = {"Signature": hmac.new(secret.encode(), body, "sha256").hexdigest()}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, content=body, headers=signed)
        unsigned = await http.post(url, content=json.dumps({"serial": waiting}).encode())
    assert (answer.status_code, unsigned.status_code) == (status, 401)
    assert unsigned.json()["code"] == "BAD_SIGNATURE"
    assert await desk.claim() is None


async def test_it_is_said_again_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is starting answers nothing, then 503, then takes it."""
    monkeypatch.setattr("deploy.sandbox.tax_platform.callbacks.PAUSE_SECONDS", 0.01)
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if len(seen) > 1:
            status = b"503 Unavailable" if len(seen) == 2 else b"204 No Content"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    platform = Callbacks(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", SECRET)
    platform.tell(["0" * 20])
    await eventually("three tries", lambda: asyncio.sleep(0, len(seen) == 3))
    await eventually("the end", lambda: asyncio.sleep(0, not platform._telling))
    await platform.close()
    server.close()
    assert len(seen) == 3
