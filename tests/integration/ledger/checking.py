"""The checker's invariants of the ledger, on one database."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.verify import ledger as verify
from deploy.verify.world import Row, Seen
from shared.runtime.database import Database

LATE_DOCUMENTS = """
    SELECT 'no_item_over_allocated: item ' || item_id || ' of account ' || account_id AS text FROM item i
    WHERE reserved_fen >= 0 AND invoiced_fen >= 0 AND refunded_fen >= 0
        AND settled_fen - refunded_fen = invoiceable_fen + reserved_fen + invoiced_fen + offset_fen
        AND -invoiceable_fen <= (SELECT sum(amount_fen) FROM move m WHERE m.account_id = i.account_id AND m.item_id = i.item_id
            AND from_bucket = 'invoiceable' AND to_bucket IN ('outside', 'invoiced'))
"""
"""A document that turns out to exist may take an item below zero; the checker does not know of it."""


@dataclass(frozen=True)
class _OneLedger:
    """One database, as the checker sees a running stack."""

    database: Database
    platform_log: tuple[Row, ...] = ()
    logs: tuple[()] = ()

    async def rows(self, service: str, query: str, *arguments: object) -> list[Row]:
        assert service == "ledger"
        async with self.database.read() as db:
            return [dict(row) for row in await db.fetch(query, *arguments)]

    def records(self, topic: str) -> Sequence[Seen]:
        raise LookupError(topic)


async def violations(database: Database) -> list[str]:
    world = _OneLedger(database)
    found = [f"{check.__name__}: {text}" for check in verify.CHECKS for text in await check(world)]
    legal = {row["text"] for row in await world.rows("ledger", LATE_DOCUMENTS)} if found else set()
    return [text for text in found if text not in legal]


async def holds(database: Database) -> None:
    """All of the ledger's invariants, or the words of those that do not."""
    assert await violations(database) == []
