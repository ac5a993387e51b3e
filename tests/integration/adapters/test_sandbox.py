"""The sandbox processes themselves: nobody has to ask, nonsense is refused, and a polite end is quick."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import httpx2
import pytest

from deploy.local import process
from deploy.local.ports import Ports
from tests.integration.adapters.examples import DRAFT
from tests.integration.adapters.sandbox import Start


async def test_an_invoice_is_issued_and_logged_though_nobody_asks(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0.1")
    await sandbox.post("/invoices", asdict(DRAFT))
    database = sandbox.folder / "platform.sqlite"
    assert await asyncio.to_thread(process.wait_until, lambda: bool(_events(database, "issued")), 20)


async def test_what_is_no_draft_is_refused_over_http_too(start: Start) -> None:
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


def _events(database: Path, event: str) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        query = "SELECT body FROM log WHERE json_extract(body, '$.event') = ?"
        return [body for (body,) in db.execute(query, (event,))]
