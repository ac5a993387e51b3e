"""A table that only grows goes on growing only, whatever a later migration calls it."""

from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from tests.conftest import OpenDatabase
from tests.support.databases import Databases

pytestmark = pytest.mark.database

FIRST = """
-- append-only: call, reply, letter
CREATE TABLE call (n bigint);
CREATE TABLE reply (n bigint);
CREATE TABLE letter (n bigint);
"""
LATER = """
-- renamed: call -> attempt
-- renamed: reply -> attempt
ALTER TABLE call RENAME TO attempt;
INSERT INTO attempt SELECT n FROM reply;
DROP TABLE reply;
"""
GROWING = ["public.attempt", "public.letter"]


def written(folder: Path, *texts: str) -> Path:
    for number, text in enumerate(texts, 1):
        (folder / f"{number:03d}_tables.sql").write_text(text)
    return folder


async def is_kept_from_changing(database: Database, table: str) -> bool:
    async with database.transaction() as db:
        await db.execute(f"INSERT INTO {table} VALUES (1)")
    try:
        async with database.transaction() as db:
            await db.execute(f"UPDATE {table} SET n = 2")
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


def test_the_names_are_those_after_all_files(tmp_path: Path) -> None:
    written(tmp_path, FIRST, LATER)
    listed = migrations.append_only(migrations.files_of(tmp_path))
    assert [name for name in listed if name.startswith("public.")] == GROWING


async def test_a_new_database_has_the_new_names_guarded(open_database: OpenDatabase, tmp_path: Path) -> None:
    database = await open_database(written(tmp_path, FIRST, LATER))
    assert [await is_kept_from_changing(database, table) for table in GROWING] == [True, True]


async def test_so_has_one_that_was_there_before(databases: Databases, tmp_path: Path) -> None:
    dsn, _ = await databases.dsn(written(tmp_path, FIRST))
    written(tmp_path, FIRST, LATER)
    assert await migrations.migrate(dsn, tmp_path, datetime.now(UTC)) == ["002_tables.sql"]
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]))
    assert [await is_kept_from_changing(database, table) for table in GROWING] == [True, True]
    await database.close()
    await databases.drop(dsn)
