"""`kaipiao ids skip`: no number is given out twice, and a sequence that was never used is moved on as well."""

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.cli.ids import skip
from services.invoicing.app import MIGRATIONS
from tests.conftest import OpenDatabase

pytestmark = pytest.mark.database


async def test_numbers_that_were_lost_are_not_given_out_again(open_database: OpenDatabase) -> None:
    dsn = (await open_database(MIGRATIONS)).dsn
    db = await asyncpg.connect(dsn)
    given = await db.fetchval("SELECT nextval('part_id')")
    sequences = await db.fetchval("SELECT count(*) FROM pg_sequences WHERE schemaname IN ('public', 'runtime')")
    assert await skip(dsn, 1000) == sequences > 1
    assert await db.fetchval("SELECT nextval('part_id')") > given + 1000
    assert await db.fetchval("SELECT nextval('request_id')") > 1000, "it was never used before"
    await db.close()


def test_a_database_that_is_not_there_is_one_line() -> None:
    done = CliRunner().invoke(app, ["ids", "skip", "--dsn", "postgresql://nobody@127.0.0.1:9/kaipiao_title"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "the database of kaipiao_title does not do it" in done.stderr
