"""Through which states a part went."""

from datetime import datetime

from asyncpg import Connection


async def tell_history(db: Connection, account_id: int, part_id: int, before: str, after: str, at: datetime) -> None:
    await db.execute(
        """
        INSERT INTO part_history (account_id, part_id, change_no, from_status, to_status, at)
        SELECT $1, $2, coalesce(max(change_no), 0) + 1, $3, $4, $5 FROM part_history WHERE account_id = $1 AND part_id = $2
        HAVING $3 <> $4
        """,
        account_id,
        part_id,
        before,
        after,
        at,
    )
