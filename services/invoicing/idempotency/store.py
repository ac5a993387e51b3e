"""Statements about idempotency keys."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.invoicing.idempotency.rules import FirstUse, IdempotencyKey, UsedKey

LOCK_NUMBERS = 2**31
"""An account as a signed 32-bit lock number; two accounts that share one merely wait for each other."""


async def first_use(db: Connection, key: IdempotencyKey) -> FirstUse | None:
    """What the key was first used for. A twin in another transaction is waited for."""
    await db.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext($2))",
        key.account_id % LOCK_NUMBERS,
        f"{key.operation} {key.key}",
    )
    row = await db.fetchrow(
        "SELECT made_id, digest FROM idempotency WHERE account_id = $1 AND operation = $2 AND key = $3",
        key.account_id,
        key.operation,
        key.key,
    )
    return None if row is None else FirstUse(**row)


async def keep(db: Connection, used: Sequence[UsedKey], now: datetime) -> None:
    await db.execute(
        """
        INSERT INTO idempotency (account_id, operation, key, digest, made_id, created_at)
        SELECT u.*, $6 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bigint[]) AS u
        """,
        [one.key.account_id for one in used],
        [one.key.operation for one in used],
        [one.key.key for one in used],
        [one.key.digest for one in used],
        [one.made_id for one in used],
        now,
    )
