"""A database that counts the buffers of each statement: how much is looked at, whatever the machine is busy with."""

import json
from collections import Counter
from typing import Any

import asyncpg

from shared.runtime.database import TIMEOUTS, Database
from shared.runtime.purposes import ACQUIRE_SECONDS
from shared.runtime.roles import Roles

BUFFERS: Counter[str] = Counter()
"""By statement, since somebody last cleared it."""
EXPLAINED = {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}


class _Counted(asyncpg.Connection):
    """Each statement is explained before it runs; what it does while it is explained is rolled back."""

    async def _count(self, query: str, args: Any) -> None:  # noqa: ANN401 - as asyncpg takes them
        if query.split(maxsplit=1)[0].upper() not in EXPLAINED:
            return
        transaction = self.transaction()
        await transaction.start()
        plan = await super().fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *args)
        await transaction.rollback()
        top = json.loads(plan)[0]["Plan"]
        BUFFERS[" ".join(query.split())] += top["Shared Hit Blocks"] + top["Shared Read Blocks"]

    async def execute(self, query: str, *args: Any, **more: Any) -> str:  # noqa: ANN401
        await self._count(query, args)
        return await super().execute(query, *args, **more)

    async def fetch(self, query: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        await self._count(query, args)
        return await super().fetch(query, *args, **more)

    async def fetchrow(self, query: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        await self._count(query, args)
        return await super().fetchrow(query, *args, **more)

    async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        await self._count(query, args)
        return await super().fetchval(query, *args, **more)

    def get_reset_query(self) -> str:
        return ""


async def open_counted(dsn: str, roles: Roles) -> Database:
    """Otherwise like `Database.open`."""
    settings = TIMEOUTS | {"role": roles.work}
    pools = {
        purpose: await asyncpg.create_pool(
            dsn, min_size=0, max_size=2, server_settings=settings, connection_class=_Counted
        )
        for purpose in ACQUIRE_SECONDS
    }
    return Database(pools, dsn, roles)
