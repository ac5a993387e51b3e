"""Bad records among good ones on the ledger's own pipeline; and one that the catalogue did not know, brought in after it was mended."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from services.ledger.app import build
from services.ledger.intake.handlers import billing_facts
from shared.contracts.billing import BillSettled, Line
from shared.domain.calendar import earliest_opening
from shared.domain.catalogue import DATA, TABLES, Catalogue
from shared.runtime import parked
from shared.runtime.database import Database
from shared.runtime.settings import Settings
from tests.support.examples import a_refund, an_order
from tests.support.ledger import MARCH_20, Ledger
from tests.support.stage import Process, Stage

pytestmark = pytest.mark.database


def a_catalogue(**products: list[dict[str, str]]) -> Catalogue:
    """Ours, and these products."""
    tables = {name: json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in TABLES}
    tables["products"] |= products
    return Catalogue(tables, "mended")


class Desk:
    """The ledger with one catalogue or another, over one database and one log."""

    def __init__(self, database: Database) -> None:
        self.stage = Stage(MARCH_20)
        self.database = database

    async def started(self, catalogue: Catalogue) -> Process:
        batches = {"billing.events": partial(billing_facts, catalogue=catalogue)}
        stage = self.stage
        service = replace(build(Settings(_env_file=None)), batches=batches)
        process = Process(service, self.database, stage.log, stage.clock, stage.new_id)
        await process.start()
        stage.processes["ledger"] = process
        return process

    async def open(self) -> dict[int, tuple[str, str]]:
        async with self.database.read() as db:
            return {one.parked_id: (one.reason, one.text) for one in await parked.parked_records(db, "open")}


async def test_a_product_the_catalogue_did_not_know_comes_in_after_it_was_mended_with_its_first_arrival(
    ledger: Ledger,
) -> None:
    desk = Desk(ledger.database)
    await desk.started(Catalogue.load())
    bill = BillSettled(
        account_id=1,
        number="B1",
        cycle="202602",
        occurred_at=MARCH_20,
        lines=(Line(product_code="quantum", cash_fen=106),),
    )
    desk.stage.publish(bill)
    desk.stage.publish(an_order("O1", 5))
    await desk.stage.settle()
    ((number, (reason, text)),) = (await desk.open()).items()
    assert (reason, "quantum" in text) == ("NO_CATALOGUE_ROW", True)
    desk.stage.clock.advance(timedelta(days=9).total_seconds())
    mended = await desk.started(a_catalogue(quantum=[{"content": "ALIYUN/soft"}]))
    status = await parked.redrive(
        ledger.database, mended.runtime.consumers, number, "an operator", desk.stage.clock, mended.runtime.parking
    )
    assert status == "redriven"
    async with ledger.database.read() as db:
        row = await db.fetchrow("SELECT subject, settled_fen, arrived_at, opens_at FROM item WHERE number = 'B1'")
    assert row is not None
    assert tuple(row.values()) == ("ALIYUN_SERVICE", 106, MARCH_20, earliest_opening("202602"))


async def test_bad_records_are_parked_with_a_reason_and_those_around_them_count(ledger: Ledger) -> None:
    desk = Desk(ledger.database)
    await desk.started(Catalogue.load())
    good = desk.stage.publish(an_order("O1", 100))
    for broken in (
        {"currency": "USD"},
        {"lines": [{"subject": "ALIYUN_SERVICE", "cash_fen": -1}]},
        {"lines": [{"subject": "ALIYUN_SERVICE", "cash_fen": 10**15 + 1}]},
        {"lines": [{"subject": "NOBODY", "cash_fen": 1}]},
        {"occurred_at": "1999-12-31T00:00:00Z"},
        {"number": "x" * 65},
        {"account_id": "one"},
    ):
        body = json.loads(good.value or b"") | {"number": f"X{len(desk.stage.log.records)}"} | broken
        record = desk.stage.publish(an_order("O2", 1))
        records = desk.stage.log.records[record.partition]
        records[-1] = replace(record, value=json.dumps(body).encode())
    desk.stage.publish(a_refund("F1", of="O1", cash_fen=101))
    desk.stage.publish(an_order("O3", 7))
    await desk.stage.settle()
    reasons = [reason for reason, _ in (await desk.open()).values()]
    assert sorted(reasons) == [*["BREAKS_CONTRACT"] * 6, "NO_CATALOGUE_ROW", "REFUND_EXCEEDS_ORIGINAL"]
    assert await ledger.places() == {"O1": (100, 0, 0, 0), "O3": (7, 0, 0, 0)}
    texts = " ".join(text for _, text in (await desk.open()).values())
    for named in ("currency", "cash_fen", "occurred_at", "number", "account_id", "NOBODY", "O1"):
        assert named in texts
