"""Copies of what title says: the key of an account, and where word about it is sent. As sealed as they came."""

from asyncpg import Connection

from shared.contracts.titles import RecipientChanged, SealingKeyIssued


async def keep_key(db: Connection, fact: SealingKeyIssued) -> None:
    await db.execute(
        "INSERT INTO sealing_key (account_id, wrapped_key) VALUES ($1, $2) ON CONFLICT (account_id) DO NOTHING",
        fact.account_id,
        fact.wrapped_key,
    )


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
