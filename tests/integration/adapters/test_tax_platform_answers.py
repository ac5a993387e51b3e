"""What the tax platform's adapter makes of answers: what it cannot understand, or does not get, is unknown and never a failure."""

import json

import pytest

from deploy.local.ports import LOOPBACK, Ports
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.port import Issued, Unknown
from tests.integration.adapters.bad_servers import Serve, resets, says, somebody, trickles
from tests.integration.adapters.examples import DRAFT, SERIAL

AN_INVOICE = {
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
        json.dumps(AN_INVOICE | change).encode()
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
        assert isinstance(await platform.submit(DRAFT), Unknown)


async def test_an_answer_in_the_agreed_words_is_understood() -> None:
    content = json.dumps(AN_INVOICE).encode()
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
        assert isinstance(await platform.submit(DRAFT), Unknown)
