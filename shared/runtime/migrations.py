"""Numbered SQL files, each applied once, in order, in a transaction of its own; a file changed after it was applied is refused.

A migration names the tables that only grow in a line `-- append-only: move, attempt`; `roles.py` sees to it. A later one that renames
such a table, or moves its rows into another, says `-- renamed: attempt -> call`: from there on it is that one which only grows.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from asyncpg import Connection

from shared.runtime.database import connect, create_database
from shared.runtime.partitions import days_ahead, tend_partitions
from shared.runtime.roles import grant

RUNTIME_SCHEMA = sorted(Path(__file__).parent.glob("schema*.sql"))
CONNECT_SECONDS = 10.0
LOCK = 0x6B616970  # one migrator at a time, whichever replica comes first
APPEND_ONLY = re.compile(r"^-- append-only: (.+)$", re.MULTILINE)
RENAMED = re.compile(r"^-- renamed: (\w+) -> (\w+)$", re.MULTILINE)
CREATE_TABLE = """
CREATE SCHEMA IF NOT EXISTS migration;
CREATE TABLE IF NOT EXISTS migration.applied (
    name       text        PRIMARY KEY,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


class MigrationRefused(Exception):  # noqa: N818 - the database and the files disagree; a person must decide
    pass


async def migrate(dsn: str, folder: Path, today: datetime | None = None) -> list[str]:
    """Bring one database up to date and give its roles their rights. Returns the names of the files applied now."""
    await create_database(dsn)
    db = await connect(dsn, server_settings={"lock_timeout": "120s"})
    try:
        await db.execute("SELECT pg_advisory_lock($1)", LOCK)
        await db.execute(CREATE_TABLE)
        done = {row["name"]: row["sha256"] for row in await db.fetch("SELECT name, sha256 FROM migration.applied")}
        files = files_of(folder)
        applied = [file.name for file in files if await _apply(db, file, done)]
        await tend_partitions(db, today)
        await grant(db, append_only(files))
        return applied
    finally:
        await db.close()


async def tend(dsn: str, days: int, today: datetime | None = None) -> int:
    """What has to be done again and again while a service runs: partitions of the days to come, none older than `days`.

    Returns for how many days to come there are partitions.
    """
    db = await connect(dsn, timeout=CONNECT_SECONDS)
    try:
        if not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return await days_ahead(
                db, await db.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
            )  # another process is at it
        return await tend_partitions(db, today, days)
    finally:
        await db.close(timeout=CONNECT_SECONDS)


async def pending(dsn: str, folder: Path) -> list[str]:
    """The files not applied yet: readiness asks."""
    db = await connect(dsn)
    try:
        done = {row["name"] for row in await db.fetch("SELECT name FROM migration.applied")}
    finally:
        await db.close()
    return [file.name for file in files_of(folder) if file.name not in done]


def files_of(folder: Path) -> list[Path]:
    """The runtime's own files, then the service's."""
    return [*RUNTIME_SCHEMA, *sorted(folder.glob("*.sql"))]


def append_only(files: Sequence[Path]) -> list[str]:
    """The tables that only grow, under the names they have once all these files are applied."""
    tables: dict[str, None] = {}
    for file in files:
        schema = "runtime" if file in RUNTIME_SCHEMA else "public"
        text = file.read_text(encoding="utf-8")
        for line in APPEND_ONLY.findall(text):
            tables |= {f"{schema}.{name.strip()}": None for name in line.split(",")}
        renamed = {f"{schema}.{old}": f"{schema}.{new}" for old, new in RENAMED.findall(text)}
        tables = {renamed.get(name, name): None for name in tables}
    return list(tables)


async def _apply(db: Connection, file: Path, done: dict[str, str]) -> bool:
    sql = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(sql.encode()).hexdigest()
    if file.name in done:
        if done[file.name] != digest:
            raise MigrationRefused(
                f"{file.name} was changed after it was applied; restore it and add a new numbered file"
            )
        return False
    async with db.transaction():
        await db.execute(sql)
        await db.execute("INSERT INTO migration.applied (name, sha256) VALUES ($1, $2)", file.name, digest)
    return True
