"""The checker's invariants of the ledger, on one database."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.verify import ledger as verify
from deploy.verify.world import Row, Seen
from shared.runtime.database import Database


@dataclass(frozen=True)
class _OneLedger:
    """One database, as the checker sees a running stack."""

    database: Database
    platform_log: tuple[Row, ...] = ()
    logs: tuple[()] = ()
    shortened: tuple[()] = ()

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]:
        assert service == "ledger"
        async with self.database.read() as db:
            return [dict(row) for row in await db.fetch(query, *arguments)]

    def records(self, topic: str) -> Sequence[Seen]:
        raise LookupError(topic)


async def violations(database: Database) -> list[str]:
    world = _OneLedger(database)
    return [f"{check.__name__}: {text}" for check in verify.CHECKS for text in await check(world)]


async def holds(database: Database) -> None:
    """All of the ledger's invariants, or the words of those that do not."""
    assert await violations(database) == []
