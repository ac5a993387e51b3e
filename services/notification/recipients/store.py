"""Copies of what title says: where word about an account is sent. As sealed as it came."""

from asyncpg import Connection

from shared.contracts.titles import AccountErased, RecipientChanged


async def keep_recipient(db: Connection, fact: RecipientChanged) -> None:
    await db.execute(
        """
        INSERT INTO recipient AS r (account_id, version, mailbox, mobile) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, mailbox = excluded.mailbox, mobile = excluded.mobile
        WHERE r.version < excluded.version
        """,
        fact.account_id,
        fact.version,
        fact.mailbox,
        fact.mobile,
    )


async def erase(db: Connection, fact: AccountErased) -> None:
    """The row stays, blank, with the version of the erasure: what was said before is not kept again."""
    await db.execute(
        """
        INSERT INTO recipient AS r (account_id, version) VALUES ($1, $2)
        ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, mailbox = NULL, mobile = NULL
        WHERE r.version < excluded.version
        """,
        fact.account_id,
        fact.version,
    )
