"""What the gateway does itself: it keeps API keys."""

from datetime import datetime

from asyncpg import Connection

from services.gateway.callers import store
from services.gateway.callers.rules import NewKey
from shared.contracts.message import Message


async def add_key(key: NewKey, db: Connection, now: datetime) -> tuple[str, list[Message]]:
    await store.add_key(db, key, now)
    return key.last_four, []
