"""The tax platform's adapter against the sandbox platform as a process: once for each serial, whatever is lost or killed on the way."""

from dataclasses import replace
from datetime import datetime

import pytest

from deploy.demo.client import eventually
from services.invoicing.tax_platforms.adapters.http_json.client import HttpJsonPlatform
from services.invoicing.tax_platforms.port import (
    QUOTA_EXCEEDED,
    Accepted,
    Answer,
    CancelHeard,
    Cancelled,
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
from shared.domain.calendar import SHANGHAI
from tests.integration.adapters.examples import DRAFT, SELLER, SERIAL
from tests.integration.adapters.sandbox import Start


async def settled(platform: HttpJsonPlatform, serial: str = SERIAL) -> Answer:
    """The platform's last word: asked until it is no longer at work."""

    async def look() -> Answer | None:
        answer = await platform.query(serial)
        return None if isinstance(answer, Processing | Unknown) else answer

    return await eventually("last word", look, 20)


async def test_a_draft_becomes_an_invoice_and_the_log_shows_both(start: Start) -> None:
    sandbox = await start("tax_platform")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.query(SERIAL) == NotFound()
        assert await platform.submit(DRAFT) == Accepted()
        assert await platform.submit(DRAFT) == Duplicate()
        issued = await settled(platform)
        assert isinstance(issued, Issued)
        assert issued.number.startswith("26332")
        assert issued.issued_at.utcoffset() is not None
        assert (issued.gross_fen, issued.net_fen, issued.tax_fen) == (10_600, 10_000, 600)
        assert issued.specimen
        assert issued.qr.startswith("SPECIMEN")
        assert await platform.query(SERIAL) == issued
        refused = await platform.submit(replace(DRAFT, remark="another"))
        assert isinstance(refused, Rejected)
        assert refused.code == "SERIAL_REUSED"
    rows = await sandbox.get("/log")
    assert [row["number"] for row in rows if row["event"] == "issued"] == [issued.number]
    assert [row["call"] for row in rows if row["event"] == "call"][:3] == ["query", "submit", "submit"]


async def test_a_refused_buyer_fails_for_good(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(replace(DRAFT, buyer=Party("FAIL_BUYER_TAXNO 公司", "1"))) == Accepted()
        assert await settled(platform) == Failed("BUYER_TAX_ID", "购方税号有误")


@pytest.mark.parametrize("delay", ["0.3", "2"])
async def test_a_kill_after_the_acceptance_loses_nothing(start: Start, delay: str) -> None:
    """Killed while invoices are in work, and again once they are issued: no draft, number or log row is lost or doubled."""
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS=delay)
    serials = [f"S{number:019d}" for number in range(8)]
    async with HttpJsonPlatform(sandbox.url) as platform:
        accepted = [await platform.submit(replace(DRAFT, serial=serial)) for serial in serials]
        assert accepted == [Accepted()] * len(serials)
        sandbox.kill()
        assert isinstance(await platform.query(serials[0]), Unknown)
        await sandbox.start()
        assert await platform.submit(replace(DRAFT, serial=serials[0])) == Duplicate()
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
        assert isinstance(await platform.submit(DRAFT), Unknown)
        assert isinstance(await settled(platform), found)


async def test_faults_hit_any_call_and_unknown_ones_are_refused(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    assert (await sandbox.post("/ops/faults", ["lose_answer", "nonsense"])).status_code == 422
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(DRAFT) == Accepted()
        await sandbox.post("/ops/faults", ["lose_answer", "error_5xx"])
        assert isinstance(await platform.query(SERIAL), Unknown)
        assert await platform.query(SERIAL) == Unknown("HTTP 503")
        assert isinstance(await settled(platform), Issued)


async def test_a_cancel_ends_what_is_in_work(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="60")
    async with HttpJsonPlatform(sandbox.url) as platform:
        assert await platform.submit(DRAFT) == Accepted()
        assert await platform.cancel(SERIAL) == CancelHeard()
        assert await platform.query(SERIAL) == Cancelled()


async def test_a_cancel_that_comes_too_late_is_heard_and_the_invoice_stays(start: Start) -> None:
    sandbox = await start("tax_platform", ISSUE_DELAY_SECONDS="0")
    async with HttpJsonPlatform(sandbox.url) as platform:
        await platform.submit(DRAFT)
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
        assert await platform.submit(DRAFT) == Accepted()
        assert isinstance(await settled(platform), Issued)
        sandbox.kill()
        await sandbox.start()
        assert await platform.quota(SELLER.tax_id, month) == QuotaTold(15_000, 10_000)
        refused = await platform.submit(replace(DRAFT, serial="S0000000000000000002"))
        assert isinstance(refused, Rejected)
        assert refused.code == QUOTA_EXCEEDED
