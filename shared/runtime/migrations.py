"""Numbered SQL files, each applied once, in order, in a transaction of its own; a file changed after it was applied is refused.

Every service's database has an owner (who migrates) and a serving role, which may read and write rows but change no table, and
may neither update nor delete what is append-only. A migration names those tables in a line `-- append-only: move, attempt`.
"""

import hashlib
import re
from datetime import datetime
from pathlib import Path

import asyncpg
from asyncpg import Connection

from shared.runtime.outbox import tend_partitions

RUNTIME_SCHEMA = Path(__file__).parent / "schema.sql"
LOCK = 0x6B616970  # one migrator at a time, whichever replica comes first
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


def serving_role(database: str) -> str:
    return f"{database}_serve"


async def create_database(dsn: str) -> None:
    """Make the database unless it is there. Two processes may try at once."""
    server, _, name = dsn.rpartition("/")
    try:
        db = await asyncpg.connect(dsn)
    except asyncpg.InvalidCatalogNameError:
        db = await asyncpg.connect(f"{server}/postgres")
        try:
            await db.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            pass
        finally:
            await db.close()
    else:
        await db.close()


async def migrate(dsn: str, folder: Path, today: datetime) -> list[str]:
    """Bring one database up to date and give the serving role its rights. Returns the names of the files applied now."""
    await create_database(dsn)
    db: Connection = await asyncpg.connect(dsn, server_settings={"lock_timeout": "120s"})
    try:
        await db.execute("SELECT pg_advisory_lock($1)", LOCK)
        await db.execute(CREATE_TABLE)
        done = {row["name"]: row["sha256"] for row in await db.fetch("SELECT name, sha256 FROM migration.applied")}
        files = [RUNTIME_SCHEMA, *sorted(folder.glob("*.sql"))]
        applied = [file.name for file in files if await _apply(db, file, done)]
        await tend_partitions(db, today)
        await _grant(db, files)
        return applied
    finally:
        await db.close()


async def pending(dsn: str, folder: Path) -> list[str]:
    """The files not applied yet: readiness asks."""
    db = await asyncpg.connect(dsn)
    try:
        done = {row["name"] for row in await db.fetch("SELECT name FROM migration.applied")}
    finally:
        await db.close()
    return [file.name for file in [RUNTIME_SCHEMA, *sorted(folder.glob("*.sql"))] if file.name not in done]


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


async def _grant(db: Connection, files: list[Path]) -> None:
    database = await db.fetchval("SELECT current_database()")
    role = serving_role(database)
    async with db.transaction():
        # roles belong to the whole server, and the services of one server migrate at the same time
        await db.execute("SELECT pg_advisory_xact_lock($1)", LOCK + 1)
        if not await db.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
            await db.execute(f'CREATE ROLE "{role}" NOLOGIN')
        if not await db.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", role):
            await db.execute(f'GRANT "{role}" TO CURRENT_USER')
    async with db.transaction():
        for schema in ("public", "runtime"):
            await db.execute(
                f'GRANT USAGE ON SCHEMA {schema} TO "{role}";'
                f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO "{role}";'
                f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO "{role}"'
            )
        for file in files:
            schema = "runtime" if file == RUNTIME_SCHEMA else "public"
            for line in re.findall(r"^-- append-only: (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
                for table in line.split(","):
                    await _append_only(db, schema, table.strip(), role)


async def _append_only(db: Connection, schema: str, table: str, role: str) -> None:
    """The table and its partitions, which can be written directly too."""
    rows = await db.fetch("SELECT relid::regclass::text FROM pg_partition_tree($1::regclass)", f"{schema}.{table}")
    for name in [row[0] for row in rows] or [f"{schema}.{table}"]:
        await db.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM "{role}"')
