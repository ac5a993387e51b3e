"""Every statement about API keys."""

from datetime import datetime

from asyncpg import Connection

from services.gateway.callers.rules import NewKey


async def add_key(db: Connection, key: NewKey, now: datetime) -> None:
    await db.execute(
        "INSERT INTO api_key (key_hash, account_id, name, last_four, created_at) VALUES ($1, $2, $3, $4, $5)",
        key.key_hash,
        key.account_id,
        key.name,
        key.last_four,
        now,
    )


async def account_of(db: Connection, key_hash: bytes) -> int | None:
    account_id: int | None = await db.fetchval(
        "SELECT account_id FROM api_key WHERE key_hash = $1 AND revoked_at IS NULL", key_hash
    )
    return account_id
