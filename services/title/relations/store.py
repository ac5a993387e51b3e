"""Every statement about relations."""

from asyncpg import Connection

from shared.contracts.accounts import RelationChanged


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
