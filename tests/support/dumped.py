"""All that lies in a database, as a dump would have it: every row of every table, and what is in bytes as text too."""

import re
from collections.abc import Collection, Sequence

from asyncpg import Connection

from shared.runtime.database import Database, connect
from shared.runtime.sealing import Unsealable, opened_text

TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
BYTES = re.compile(r"\\x([0-9a-f]+)")
SEALED = re.compile(r"sealed\.v1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


async def dumped(database: Database) -> str:
    """As whoever may see everything."""
    db = await connect(database.dsn)
    try:
        return await _dump_of(db)
    finally:
        await db.close()


async def _dump_of(db: Connection) -> str:
    tables = [row[0] for row in await db.fetch(TABLES)]
    rows = [row[0] for table in tables for row in await db.fetch(f"SELECT t::text FROM {table} t")]
    text = "\n".join(rows).replace("\\\\x", "\\x")
    return text + "\n" + "\n".join(bytes.fromhex(found).decode(errors="replace") for found in BYTES.findall(text))


def keys_found(texts: Collection[str], masters: Sequence[bytes]) -> set[bytes]:
    """The wrapped keys among these texts that a master key opens."""
    return {key for text in texts for one in SEALED.findall(text) if (key := _opened(masters, one)) is not None}


def _opened(masters: Sequence[bytes], sealed: str) -> bytes | None:
    try:
        return opened_text(masters, sealed, "")
    except Unsealable:
        return None
