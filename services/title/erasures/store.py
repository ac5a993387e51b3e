"""Every statement about erasures. Whoever begins one holds the row of its account."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.title.erasures.rules import Erasure, ErasureIntent

ERASURE = "account_id, version, started_at, ended_at"


async def last(db: Connection, account_id: int) -> Erasure | None:
    row = await db.fetchrow(
        f"SELECT {ERASURE} FROM erasure WHERE account_id = $1 ORDER BY version DESC LIMIT 1", account_id
    )
    return None if row is None else Erasure(**row)


async def begin(db: Connection, begun: Sequence[Erasure], intent: ErasureIntent) -> None:
    """What stands in clear is gone at once, and what was said of it until then is never news again. Keys stay until the end."""
    await db.execute(
        """
        WITH begun AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS b (account_id, version, at)
        ), noted AS (
            INSERT INTO erasure (account_id, version, asked_by, reason, started_at) SELECT account_id, version, $4, $5, at FROM begun
        ), changed AS (
            UPDATE account a SET version = b.version, erased_at = b.at, registered_at = b.at, changed_at = b.at
            FROM begun b WHERE a.account_id = b.account_id
        ), chosen AS (
            UPDATE sealing_key k SET erased_with = b.version FROM begun b WHERE k.account_id = b.account_id AND k.erased_with IS NULL
        ), gone AS (
            DELETE FROM title t USING begun b WHERE t.account_id = b.account_id
        )
        INSERT INTO recipient AS r (account_id, version, said_at) SELECT account_id, version, at FROM begun
        ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, said_at = excluded.said_at, mailbox = NULL, mobile = NULL
        """,
        [one.account_id for one in begun],
        [one.version for one in begun],
        [one.started_at for one in begun],
        intent.by,
        intent.reason,
    )


async def end(db: Connection, account_id: int, version: int, now: datetime) -> list[Erasure]:
    """Its keys are dropped; nothing if that was done before."""
    rows = await db.fetch(
        f"""
        WITH ended AS (
            UPDATE erasure SET ended_at = $3 WHERE account_id = $1 AND version = $2 AND ended_at IS NULL RETURNING {ERASURE}
        ), dropped AS (
            UPDATE sealing_key k SET wrapped_key = NULL, dropped_at = $3 FROM ended e
            WHERE k.account_id = e.account_id AND k.erased_with <= e.version AND k.dropped_at IS NULL
        )
        SELECT {ERASURE} FROM ended
        """,
        account_id,
        version,
        now,
    )
    return [Erasure(**row) for row in rows]
