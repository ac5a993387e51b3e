"""What title does with its keys when the master key is replaced: decide, save."""

from datetime import datetime

from asyncpg import Connection

from services.title.accounts import rules, store
from services.title.accounts.rules import KeptKeys, Rewrap
from shared.contracts.message import Message


async def master_key_replaced(kept: KeptKeys, db: Connection, _: datetime, *, rewrap: Rewrap) -> list[Message]:
    await store.keep_keys(db, rules.rewrapped(kept, rewrap))
    return []
