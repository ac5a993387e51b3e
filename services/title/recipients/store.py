"""Every statement about recipients."""

from asyncpg import Connection, Record

from services.title.accounts.rules import Account
from shared.contracts.accounts import AccountRegistered


async def keep_recipient(db: Connection, account: Account, fact: AccountRegistered) -> bool:
    """Whether it was kept: one that was said later stays."""
    kept = await db.fetchval(
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
    return kept is not None


async def recipient(db: Connection, account_id: int) -> Record | None:
    return await db.fetchrow("SELECT mailbox, mobile FROM recipient WHERE account_id = $1", account_id)
