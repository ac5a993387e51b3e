"""The platform calls back over real HTTP: believed only when signed, and then only enough to ask."""

import asyncio
import hmac
import json
import time
from datetime import timedelta

import httpx2
import pytest

from deploy.demo.client import eventually
from deploy.sandbox.tax_platform.callbacks import Callbacks, signed
from services.invoicing.tax_platforms.port import Unknown
from tests.integration.invoicing.desk import NOW, Desk
from tests.support.edge import TOKEN
from tests.support.world import SETTINGS

pytestmark = pytest.mark.database

SECRET = SETTINGS.tax_platform_secret.get_secret_value()


@pytest.fixture
def url(callbacks: str) -> str:
    """Where this desk's callbacks are taken."""
    return f"{callbacks}/tax-platform/callbacks"


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
        (b"[" * 20_000, SECRET, 401),
        (b'{"serial": "0000000000000000000Z", "id": "\\ud83d"}', SECRET, 204),
        (b'{"serial": "\xed\xa0\xbd"}', SECRET, 401),
    ],
    ids=[
        *("unknown serial", "more than a hint", "wrong secret", "no serial", "a number", "no text", "empty", "nested"),
        *("half a character", "raw half a character"),
    ],
)
async def test_only_signed_words_about_a_serial_are_taken(
    body: bytes, secret: str, status: int, url: str, waiting: str, desk: Desk
) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, content=body, headers=signed(body, secret.encode()))
        unsigned = await http.post(url, content=json.dumps({"serial": waiting}).encode())
    assert (answer.status_code, unsigned.status_code) == (status, 401)
    assert unsigned.json()["code"] == "BAD_SIGNATURE"
    assert await desk.claim() is None


async def said(url: str, serial: str, call_id: str, at: float | None = None) -> int:
    body = json.dumps({"serial": serial, "id": call_id}).encode()
    async with httpx2.AsyncClient() as http:
        return (await http.post(url, content=body, headers=signed(body, SECRET.encode(), at))).status_code


@pytest.mark.parametrize(
    ("ago_seconds", "status"), [(290, 204), (310, 401), (-290, 204), (-310, 401), (86_400, 401), (-(10**11), 401)]
)
async def test_a_signature_is_good_for_five_minutes(ago_seconds: int, status: int, url: str) -> None:
    assert await said(url, "0000000000000000000Z", "c1", time.time() - ago_seconds) == status


async def test_a_signature_covers_the_moment_it_was_made_at(url: str, waiting: str, desk: Desk) -> None:
    body = json.dumps({"serial": waiting}).encode()
    old = signed(body, SECRET.encode(), time.time() - 3600)
    bare = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    async with httpx2.AsyncClient() as http:
        for headers in (old | {"Timestamp": str(int(time.time()))}, {"Signature": bare}, old | {"Timestamp": "now"}):
            assert (await http.post(url, content=body, headers=headers)).status_code == 401
    assert await desk.claim() is None


async def test_a_call_that_comes_again_is_not_taken_again(url: str, waiting: str, desk: Desk) -> None:
    assert await said(url, waiting, "c1") == 204
    part = await desk.claimed()
    await desk.came(part, Unknown("timeout"))
    async with desk.database.transaction() as db:
        await db.execute("UPDATE part SET called_at = NULL")
    assert await said(url, waiting, "c1") == 204
    assert await desk.claim() is None
    assert await said(url, waiting, "c2") == 204
    assert await desk.claim() is not None


async def test_calls_make_nobody_ask_more_than_once_a_second(waiting: str, desk: Desk) -> None:
    await desk.called_back(waiting, NOW)
    await desk.came(await desk.claimed(), Unknown("timeout"))
    for number in range(10):
        await desk.called_back(waiting, NOW + timedelta(seconds=number / 10))
        assert await desk.claim() is None, number
    await desk.called_back(waiting, NOW + timedelta(seconds=1))
    assert await desk.claim() is not None


async def test_calls_are_forgotten_when_no_signature_of_theirs_can_be_valid(waiting: str, desk: Desk) -> None:
    await desk.called_back(waiting, NOW)
    await desk.called_back(waiting, NOW + timedelta(hours=4))
    assert len(await desk.rows("SELECT FROM platform_call")) == 1


async def test_callbacks_come_to_a_listener_of_their_own_and_nothing_else_does(api: str, callbacks: str) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(headers=token) as http:
        assert (await http.post(f"{api}/tax-platform/callbacks")).status_code == 404
        for path in ("/accounts/1/invoices", "/ops/parked", "/metrics", "/openapi.json"):
            assert (await http.get(f"{callbacks}{path}")).status_code == 404


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
