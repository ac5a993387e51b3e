"""Every statement about accounts and their keys. Each change takes the account's next version and holds its row until the commit."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from asyncpg import Connection

from services.title.accounts.rules import Account, KeptKey, KeptKeys, WrappedKey

ACCOUNT = "account_id, status, version, registered_at, erased_at"
REWRAPPED_AT_ONCE = 100


async def registered(db: Connection, account_id: int, registered_at: datetime, now: datetime) -> Account:
    """The account at its next version; of all registrations the latest counts."""
    row = await db.fetchrow(
        f"""
        INSERT INTO account AS a (account_id, status, version, registered_at, changed_at) VALUES ($1, 'open', 1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE SET version = a.version + 1, changed_at = excluded.changed_at,
            registered_at = greatest(a.registered_at, excluded.registered_at)
        RETURNING {ACCOUNT}
        """,
        account_id,
        registered_at,
        now,
    )
    assert row is not None
    return Account(**row)


async def keyed(db: Connection, account: Account, new: WrappedKey, now: datetime) -> Account:
    """With its key. `new` is kept only if it has none, and is not erased."""
    wrapped_key: str | None = await db.fetchval(
        """
        WITH made AS (
            INSERT INTO sealing_key (account_id, key_no, wrapped_key, wrapped_by, made_at)
            SELECT $1, coalesce(max(key_no), 0) + 1, $2, $3, $4 FROM sealing_key WHERE account_id = $1
            HAVING count(*) FILTER (WHERE erased_with IS NULL) = 0 AND NOT $5
            RETURNING wrapped_key
        )
        SELECT wrapped_key FROM made
        UNION ALL SELECT wrapped_key FROM sealing_key WHERE account_id = $1 AND erased_with IS NULL
        """,
        account.account_id,
        new.wrapped,
        new.by,
        now,
        account.erased,
    )
    return replace(account, wrapped_key=wrapped_key)


async def closed(db: Connection, account_id: int, now: datetime) -> Account:
    """The account at its next version, closed for good."""
    row = await db.fetchrow(
        f"""
        INSERT INTO account AS a (account_id, status, version, changed_at) VALUES ($1, 'closed', 1, $2)
        ON CONFLICT (account_id) DO UPDATE SET status = 'closed', version = a.version + 1, changed_at = excluded.changed_at
        RETURNING {ACCOUNT}
        """,
        account_id,
        now,
    )
    assert row is not None
    return Account(**row)


async def account(db: Connection, account_id: int) -> Account | None:
    row = await db.fetchrow(f"SELECT {ACCOUNT} FROM account WHERE account_id = $1", account_id)
    return None if row is None else Account(**row)


async def locked_account(db: Connection, account_id: int) -> Account | None:
    """Held until the commit."""
    row = await db.fetchrow(f"SELECT {ACCOUNT} FROM account WHERE account_id = $1 FOR UPDATE", account_id)
    return None if row is None else Account(**row)


async def keys(db: Connection, account_id: int) -> list[str | None]:
    """All there ever were; None for one that was dropped."""
    rows = await db.fetch("SELECT wrapped_key FROM sealing_key WHERE account_id = $1 ORDER BY key_no", account_id)
    return [row["wrapped_key"] for row in rows]


async def wrapped_by_another(db: Connection, _: datetime, __: datetime, *, master_id: str) -> KeptKeys | None:
    """Two ranges: an index finds them at once, or that there are none."""
    rows = await db.fetch(
        f"""
        SELECT account_id, key_no, wrapped_key, wrapped_by FROM sealing_key
        WHERE wrapped_key IS NOT NULL AND (wrapped_by < $1 OR wrapped_by > $1) LIMIT {REWRAPPED_AT_ONCE} FOR UPDATE SKIP LOCKED
        """,
        master_id,
    )
    found = [
        KeptKey(row["account_id"], row["key_no"], WrappedKey(row["wrapped_key"], row["wrapped_by"])) for row in rows
    ]
    return KeptKeys(tuple(found)) if found else None


async def keep_keys(db: Connection, keys: Sequence[KeptKey]) -> None:
    await db.execute(
        """
        UPDATE sealing_key k SET wrapped_key = n.wrapped_key, wrapped_by = n.wrapped_by
        FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[]) AS n (account_id, key_no, wrapped_key, wrapped_by)
        WHERE k.account_id = n.account_id AND k.key_no = n.key_no AND k.dropped_at IS NULL
        """,
        [one.account_id for one in keys],
        [one.key_no for one in keys],
        [one.key.wrapped for one in keys],
        [one.key.by for one in keys],
    )
