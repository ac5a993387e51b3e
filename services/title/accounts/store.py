"""Every statement about accounts. Each change takes the account's next version and holds its row until the commit."""

from datetime import datetime

from asyncpg import Connection, Record

from services.title.accounts.rules import Account

ACCOUNT = "account_id, status, version, wrapped_key, registered_at"


async def registered(db: Connection, account_id: int, new_key: str, registered_at: datetime, now: datetime) -> Account:
    """The account at its next version. `new_key` is kept only if it is new; of all registrations the latest counts."""
    row = await db.fetchrow(
        f"""
        INSERT INTO account AS a (account_id, status, version, wrapped_key, registered_at, changed_at)
        VALUES ($1, 'open', 1, $2, $3, $4)
        ON CONFLICT (account_id) DO UPDATE SET version = a.version + 1, changed_at = excluded.changed_at,
            registered_at = greatest(a.registered_at, excluded.registered_at)
        RETURNING {ACCOUNT}
        """,
        account_id,
        new_key,
        registered_at,
        now,
    )
    assert row is not None
    return Account(**row)


async def closed(db: Connection, account_id: int, new_key: str, now: datetime) -> Account:
    """The account at its next version, closed for good. `new_key` is kept only if it is new."""
    row = await db.fetchrow(
        f"""
        INSERT INTO account AS a (account_id, status, version, wrapped_key, changed_at) VALUES ($1, 'closed', 1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE SET status = 'closed', version = a.version + 1, changed_at = excluded.changed_at
        RETURNING {ACCOUNT}
        """,
        account_id,
        new_key,
        now,
    )
    assert row is not None
    return Account(**row)


async def account(db: Connection, account_id: int) -> Record | None:
    return await db.fetchrow("SELECT account_id, status, version FROM account WHERE account_id = $1", account_id)
