"""A database for each test: migrated once into a template, cloned in some 50 ms, dropped with the server."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.dsn import database_of
from shared.runtime.roles import Roles, roles_of


@dataclass
class Databases:
    """Databases of one test server."""

    server: str
    templates: dict[Path, str] = field(default_factory=dict)
    count: int = 0

    async def dsn(self, folder: Path) -> tuple[str, Roles]:
        """A fresh database with these migrations, and its roles."""
        if folder not in self.templates:
            mark = hashlib.blake2b(str(folder).encode(), digest_size=4).hexdigest()
            await migrations.migrate(self._dsn(f"template_{mark}"), folder, datetime.now(UTC))
            self.templates[folder] = self._name(f"template_{mark}")
        self.count += 1
        name = self._name(f"test_{self.count}")
        template = self.templates[folder]
        await self._as_owner(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await self._as_owner(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self._dsn(f"test_{self.count}"), roles_of(template)

    async def drop(self, dsn: str) -> None:
        await self._as_owner(f'DROP DATABASE "{dsn.rpartition("/")[2]}" WITH (FORCE)')

    async def _as_owner(self, statement: str) -> None:
        db = await asyncpg.connect(self._dsn("").rpartition("/")[0] + "/postgres")
        try:
            await db.execute(statement)
        finally:
            await db.close()

    async def open(self, folder: Path, connections: int = 8, kind: type[Database] = Database) -> Database:
        dsn, roles = await self.dsn(folder)
        return await kind.open(dsn, roles, connections)

    def _dsn(self, name: str) -> str:
        return database_of(self.server, name)

    def _name(self, name: str) -> str:
        return self._dsn(name).rpartition("/")[2]
