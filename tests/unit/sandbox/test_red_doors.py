"""Red invoices on the disk, over HTTP, and without a wire between."""

import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from deploy.sandbox.tax_platform.callbacks import Callbacks
from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.direct import DirectTaxPlatform, scripted
from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.memory import Memory
from deploy.sandbox.tax_platform.server import Server
from services.invoicing.tax_platforms.port import (
    Accepted,
    DraftLine,
    Duplicate,
    FormState,
    FormTold,
    Issued,
    NotFound,
    RedDraft,
    Rejected,
    Unknown,
)
from tests.unit.sandbox.desk import BLUE, BUYERS_FORM, RED, SERIAL, Desk, a_draft, a_red, code, form_state, with_blue


def a_red_draft(remark: str = "") -> RedDraft:
    draft = a_red(remark=remark)
    return RedDraft(**draft | {"lines": tuple(DraftLine(**line) for line in draft["lines"])})


# on the disk


def reopened(folder: Path, at: datetime) -> tuple[Desk, Disk]:
    disk = Disk(folder)
    return Desk(disk, disk.rows, at), disk


def test_drafts_forms_and_their_clocks_are_kept_when_it_is_opened_again(tmp_path: Path) -> None:
    desk, disk = reopened(tmp_path, datetime(2026, 11, 24, 2, tzinfo=UTC))
    with disk.kept():
        with_blue(desk, remark="BUYER_TICKED").platform.submit_red(a_red())
        desk.platform.enter_form(BLUE, BUYERS_FORM, -10_600)
        form = desk.platform.form_of(RED)
    disk.close()

    desk, disk = reopened(tmp_path, desk.at + timedelta(hours=72))
    with disk.kept():
        assert (form_state(desk), desk.platform.form_of(RED)) == ("07", form)
        assert desk.platform.submit_red(a_red(form_number=BUYERS_FORM)) == {"state": "accepted"}
    disk.close()

    desk, disk = reopened(tmp_path, desk.at + timedelta(seconds=1))
    with disk.kept():
        assert desk.platform.submit_red(a_red(form_number=BUYERS_FORM)) == {"state": "duplicate"}
        issued = desk.platform.query(RED)
        assert (issued["number"], issued["gross_fen"]) == ("26332000000000000002", -10_600)
    disk.close()

    desk, disk = reopened(tmp_path, desk.at + timedelta(days=1))
    assert desk.platform.query(RED) == issued
    assert code(desk.platform.submit_red(a_red("R0000000000000000002"))) == "BLUE_ALREADY_RED"
    disk.close()


def test_form_numbers_go_on_where_they_stopped(tmp_path: Path) -> None:
    numbers = []
    for _ in range(2):
        desk, disk = reopened(tmp_path, datetime(2026, 11, 24, 2, tzinfo=UTC))
        with disk.kept():
            with_blue(desk).platform.submit_red(a_red())
            numbers.append(desk.platform.form_of(RED))
            desk.platform.set_form(numbers[-1], "08")
        disk.close()
    assert numbers == ["33261124000000000001", "33261124000000000002"]


def test_a_red_draft_that_was_not_kept_as_a_whole_is_undone(tmp_path: Path) -> None:
    desk, disk = reopened(tmp_path, datetime(2026, 11, 24, 2, tzinfo=UTC))
    with disk.kept():
        with_blue(desk)

    def break_off() -> None:
        with disk.kept():
            desk.platform.submit_red(a_red())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (desk.platform.form_of(RED), disk.forms_over(BLUE)) == ("", [])
    disk.close()


BEFORE = """
CREATE TABLE task (serial TEXT PRIMARY KEY, state TEXT NOT NULL, due_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX task_due ON task (due_at) WHERE state = 'processing';
CREATE TABLE number (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), last INTEGER NOT NULL);
CREATE TABLE log (row_id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE quota (tax_id TEXT NOT NULL, month TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tax_id, month));
INSERT INTO number VALUES (1, 1);
"""


def test_an_invoice_from_before_there_were_red_ones_can_be_reversed(tmp_path: Path) -> None:
    task = {
        "serial": SERIAL,
        "digest": "",
        "seller_tax_id": "91330106673959654P",
        "gross_fen": 10_600,
        "net_fen": 10_000,
        "tax_fen": 600,
        "trigger": "",
        "state": "issued",
        "due_at": "2026-11-01T02:00:00+00:00",
        "number": BLUE,
        "issued_at": "2026-11-01T10:00:00+08:00",
    }
    old = sqlite3.connect(tmp_path / "platform.sqlite")
    old.executescript(BEFORE)
    old.execute("INSERT INTO task VALUES (?, 'issued', ?, ?)", (SERIAL, task["due_at"], json.dumps(task)))
    old.commit()
    old.close()
    desk, disk = reopened(tmp_path, datetime(2026, 11, 24, 2, tzinfo=UTC))
    assert desk.platform.query(SERIAL)["number"] == BLUE
    assert desk.platform.submit_red(a_red()) == {"state": "accepted"}
    desk.wait()
    assert desk.platform.query(RED)["number"] == "26332000000000000002"
    disk.close()


# over HTTP


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """Of a platform that issues at once and has one blue invoice; nobody is told of ends."""
    disk = Disk(tmp_path)
    platform = Platform(disk, lambda: datetime(2026, 11, 24, 2, tzinfo=UTC), 0.0)
    with disk.kept():
        platform.submit(a_draft())
        platform.settle()
    callbacks = Callbacks("", "local-only")
    app = Server(platform, disk, callbacks).app()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://platform") as client:
        yield client
    await callbacks.close()
    disk.close()


async def test_a_draft_is_posted_and_asked_about_like_any_invoice(client: httpx2.AsyncClient) -> None:
    body = asdict(a_red_draft(remark="BUYER_TICKED"))
    taken = await client.post("/red-invoices", json=body)
    assert (taken.status_code, taken.json()) == (202, {"state": "accepted"})
    again = await client.post("/red-invoices", json=body)
    assert (again.status_code, again.json()) == (409, {"state": "duplicate"})
    refused = await client.post("/red-invoices", json=body | {"remark": "another"})
    assert (refused.status_code, refused.json()["code"]) == (422, "SERIAL_REUSED")
    told = (await client.get(f"/invoices/{RED}")).json()
    assert told == {"state": "form", "form_number": "33261124000000000001", "form_state": "02"}
    confirmed = await client.post(f"/ops/red-forms/{told['form_number']}", json={"state": "04"})
    assert (confirmed.status_code, confirmed.json()) == (200, told | {"form_state": "04"})
    issued = (await client.get(f"/invoices/{RED}")).json()
    assert (issued["state"], issued["gross_fen"]) == ("issued", -10_600)
    assert [row["of"] for row in (await client.get("/log")).json() if "of" in row] == [BLUE]


async def test_a_buyer_enters_a_form_that_a_draft_names(client: httpx2.AsyncClient) -> None:
    form = {"blue_number": BLUE, "form_number": BUYERS_FORM, "gross_fen": -10_600, "state": "03"}
    entered = await client.post("/ops/red-forms", json=form)
    assert (entered.status_code, entered.json()["form_state"]) == (200, "03")
    assert (await client.post("/ops/red-forms", json=form)).status_code == 422, "the number is used"
    await client.post("/red-invoices", json=a_red(form_number=BUYERS_FORM))
    assert (await client.get(f"/invoices/{RED}")).json()["state"] == "issued"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"state": 4}', b'{"state": "14"}', b"no JSON"])
async def test_what_is_no_form_is_refused(body: bytes, client: httpx2.AsyncClient) -> None:
    await client.post("/red-invoices", json=a_red(remark="BUYER_TICKED"))
    for path in ("/red-invoices", "/ops/red-forms", "/ops/red-forms/33261124000000000001"):
        assert (await client.post(path, content=body)).status_code == 422
    assert (await client.get(f"/invoices/{RED}")).json()["form_state"] == "02"


async def test_a_form_that_nobody_knows_is_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/ops/red-forms/3301", json={"state": "04"})).status_code == 404


@pytest.mark.parametrize("fault", ["error_5xx", "slow"])
async def test_scripted_faults_hit_red_drafts_too(
    fault: str, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.sandbox.tax_platform.server.SLOW_ANSWER_SECONDS", 0.01)
    await client.post("/ops/faults", json=[fault])
    taken = await client.post("/red-invoices", json=a_red())
    state = (await client.get(f"/invoices/{RED}")).json()["state"]
    assert (taken.status_code, state) == ((503, "not_found") if fault == "error_5xx" else (202, "issued"))


# without a wire between


def direct(*faults: str) -> tuple[DirectTaxPlatform, Platform]:
    platform = Platform(Memory(), lambda: datetime(2026, 11, 24, 2, tzinfo=UTC), 0.0)
    platform.submit(a_draft())
    platform.settle()
    return DirectTaxPlatform(platform, scripted(faults)), platform


async def test_a_red_draft_goes_its_way_without_a_wire() -> None:
    tax, platform = direct()
    draft = a_red_draft(remark="BUYER_TICKED")
    assert await tax.submit_red(draft) == Accepted()
    assert await tax.submit_red(draft) == Duplicate()
    assert await tax.query(RED) == FormTold(platform.form_of(RED), FormState.AWAITS_BUYER, "02")
    platform.set_form(platform.form_of(RED), "04")
    issued = await tax.query(RED)
    assert isinstance(issued, Issued)
    assert (issued.gross_fen, issued.net_fen, issued.tax_fen) == (-10_600, -10_000, -600)
    assert isinstance(await tax.submit_red(a_red_draft(remark="another")), Rejected)


@pytest.mark.parametrize(
    ("fault", "found"), [("lose_request", NotFound), ("error_5xx", NotFound), ("lose_answer", Issued), ("slow", Issued)]
)
async def test_a_red_draft_without_an_answer_is_unknown_and_the_query_tells(fault: str, found: type) -> None:
    tax, _ = direct(fault)
    assert isinstance(await tax.submit_red(a_red_draft()), Unknown)
    assert isinstance(await tax.query(RED), found)


@pytest.mark.parametrize(("trigger", "found"), [("TIMEOUT_LOST", NotFound), ("TIMEOUT_ISSUED", Issued)])
async def test_a_trigger_in_its_remark_loses_the_first_red_draft_or_its_answer(trigger: str, found: type) -> None:
    tax, _ = direct()
    assert isinstance(await tax.submit_red(a_red_draft(remark=trigger)), Unknown)
    assert isinstance(await tax.query(RED), found)
    assert isinstance(await tax.submit_red(a_red_draft(remark=trigger)), Accepted | Duplicate)
    assert isinstance(await tax.query(RED), Issued)
