"""The ledger's columns and sums are what its journal says; a difference is shown to the figure, and put right from the journal."""

import asyncio

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.cli.ledger import compare, put_right, with_database
from tests.support.examples import a_refund, an_order
from tests.support.ledger import Ledger, few_at_once

pytestmark = pytest.mark.database


async def a_story(ledger: Ledger) -> None:
    """Something in every bucket: a deficit that was paid, a part credited, a part held, a refund."""
    await ledger.in_deficit(20_000)
    await ledger.bill(an_order("O2", 50_000), an_order("O3", 700, subject="ALIYUN_GOODS"))
    reserved = await ledger.reserve("O2")
    await ledger.issued(reserved, part_id=1, gross_fen=10_000)
    await ledger.credited(reserved, part_id=1, gross_fen=10_000)
    await ledger.bill(a_refund("F3", of="O3", cash_fen=300))


async def as_owner(ledger: Ledger, statement: str) -> None:
    owner = await asyncpg.connect(ledger.database.dsn)
    await owner.execute(statement)
    await owner.close()


async def test_after_a_story_nothing_differs(ledger: Ledger) -> None:
    await a_story(ledger)
    assert await with_database(ledger.database.dsn, compare) == []


async def test_what_is_promised_and_not_yet_taken_is_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    few_at_once(monkeypatch)
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)))
    await ledger.asked(ledger.everything(request_id=1))
    for _ in range(5):
        assert await with_database(ledger.database.dsn, compare) == []
        await ledger.allocated(steps=1)


async def test_a_difference_is_named_to_the_figure_and_put_right(ledger: Ledger) -> None:
    await a_story(ledger)
    before = await ledger.places(), await ledger.figures()
    await as_owner(
        ledger,
        "UPDATE item SET invoiceable_fen = invoiceable_fen - 1, reserved_fen = reserved_fen + 1 WHERE number = 'O2'",
    )
    await as_owner(ledger, "UPDATE balance_sum SET positive_fen = positive_fen + 5 WHERE subject = 'ALIYUN_GOODS'")
    await as_owner(
        ledger,
        "INSERT INTO balance_sum SELECT 9, subject, cycle, content, opens_at, 1, 0, 1, 0, 0, 0, 0 FROM balance_sum LIMIT 1",
    )
    found = await with_database(ledger.database.dsn, compare)
    assert any(
        line.startswith("item 1, ") and line.endswith("reserved_fen is 20001, should be 20000") for line in found
    )
    assert any("ALIYUN_GOODS" in line and line.endswith("positive_fen is 405, should be 400") for line in found)
    assert any(line.startswith("sum 9, ") and line.endswith("settled_fen is 1, should be None") for line in found)
    assert await with_database(ledger.database.dsn, put_right) == found
    assert await with_database(ledger.database.dsn, compare) == []
    assert (await ledger.places(), await ledger.figures()) == before


async def test_the_command_says_how_many_and_a_check_fails_when_there_are_some(ledger: Ledger) -> None:
    await a_story(ledger)

    def check() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["ledger", "rebuild", "--check", "--dsn", ledger.database.dsn])
        return done.exit_code, done.output.splitlines()[-1]

    assert await asyncio.to_thread(check) == (0, "0 differences")
    await as_owner(ledger, "UPDATE balance_sum SET positive_fen = positive_fen + 5 WHERE subject = 'ALIYUN_GOODS'")
    assert await asyncio.to_thread(check) == (1, "1 differences")
