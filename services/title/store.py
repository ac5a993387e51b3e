"""Every statement of title. Each change of an account takes the next version of it and holds its row until the commit."""

from datetime import datetime

from asyncpg import Connection, Record

from services.title.domain import Account, NewTitle, Title
from shared.contracts.accounts import AccountRegistered, RelationChanged

TITLE = "title_id, version, status, kind, name, tax_id, address, phone, bank_name, bank_account"


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


async def replace_active_title(db: Connection, account: Account, title: NewTitle | None, now: datetime) -> list[Title]:
    """The titles that changed: the one that was active, if it says something else, and the new one. The same title changes nothing."""
    if title is None:
        return []
    same = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM title WHERE account_id = $1 AND status = 'active'
            AND (kind, name, tax_id, address, phone, bank_name, bank_account) IS NOT DISTINCT FROM ROW($2, $3, $4, $5, $6, $7, $8))
        """,
        account.account_id,
        title.kind,
        title.name,
        title.tax_id,
        title.address,
        title.phone,
        title.bank_name,
        title.bank_account,
    )
    if same:
        return []
    old = await db.fetch(
        f"UPDATE title SET status = 'inactive', version = $2 WHERE account_id = $1 AND status = 'active' RETURNING {TITLE}",
        account.account_id,
        account.version,
    )
    new = await db.fetch(
        f"""
        INSERT INTO title (account_id, version, status, kind, name, tax_id, address, phone, bank_name, bank_account, created_at)
        VALUES ($1, $2, 'active', $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {TITLE}
        """,
        account.account_id,
        account.version,
        title.kind,
        title.name,
        title.tax_id,
        title.address,
        title.phone,
        title.bank_name,
        title.bank_account,
        now,
    )
    return [Title(**row) for row in (*old, *new)]


async def set_recipient(db: Connection, account: Account, fact: AccountRegistered) -> bool:
    """Whether this is the recipient now: a later one stays."""
    changed = await db.fetchval(
        """
        INSERT INTO recipient AS r (account_id, version, mailbox, mobile, said_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, mailbox = excluded.mailbox,
            mobile = excluded.mobile, said_at = excluded.said_at
        WHERE r.said_at <= excluded.said_at RETURNING true
        """,
        account.account_id,
        account.version,
        fact.mailbox,
        fact.mobile,
        fact.occurred_at,
    )
    return changed is not None


async def account(db: Connection, account_id: int) -> Record | None:
    return await db.fetchrow("SELECT account_id, status, version FROM account WHERE account_id = $1", account_id)


async def titles(db: Connection, account_id: int) -> list[Record]:
    return await db.fetch(f"SELECT {TITLE} FROM title WHERE account_id = $1 ORDER BY title_id DESC", account_id)


async def recipient(db: Connection, account_id: int) -> Record | None:
    return await db.fetchrow("SELECT mailbox, mobile FROM recipient WHERE account_id = $1", account_id)


async def keep_relation(db: Connection, fact: RelationChanged) -> int | None:
    """The relation's new version; None if a later word is known."""
    version: int | None = await db.fetchval(
        """
        INSERT INTO relation AS r (account_id, member_id, permissions, said_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, member_id) DO UPDATE SET permissions = excluded.permissions, said_at = excluded.said_at,
            version = r.version + 1
        WHERE r.said_at <= excluded.said_at RETURNING version
        """,
        fact.account_id,
        fact.member_id,
        list(fact.permissions),
        fact.occurred_at,
    )
    return version
