"""Every statement about accounts. Each change takes the account's next version and holds its row until the commit."""

from datetime import datetime

from asyncpg import Connection, Record

from services.title.accounts.rules import Account


async def next_version(
    db: Connection,
    account_id: int,
    wrapped_key: str,
    status: str | None,
    registered_at: datetime | None,
    now: datetime,
) -> tuple[Account, bool]:
    """The account at its next version, and whether it is new. `wrapped_key` is used only if it is; a closed account stays closed,
    and of all registrations the latest counts."""
    row = await db.fetchrow(
        """
        INSERT INTO account AS a (account_id, status, version, wrapped_key, registered_at, changed_at)
        VALUES ($1, coalesce($3, 'open'), 1, $2, $4, $5)
        ON CONFLICT (account_id) DO UPDATE SET version = a.version + 1, changed_at = $5,
            status = CASE WHEN a.status = 'closed' THEN 'closed' ELSE coalesce($3, a.status) END,
            registered_at = greatest(a.registered_at, $4)
        RETURNING account_id, status, version, wrapped_key, registered_at
        """,
        account_id,
        wrapped_key,
        status,
        registered_at,
        now,
    )
    assert row is not None
    return Account(**row), row["version"] == 1


async def account(db: Connection, account_id: int) -> Record | None:
    return await db.fetchrow("SELECT account_id, status, version FROM account WHERE account_id = $1", account_id)
