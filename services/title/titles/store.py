"""Every statement about titles. Whoever changes one holds the row of its account."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.title.accounts.rules import Account
from services.title.titles.rules import NewTitle, Title

CONTENT = "kind, name, tax_id, address, phone, bank_name, bank_account"
TITLE = f"title_id, version, status, {CONTENT}"


async def active_titles(db: Connection, account_id: int) -> list[Title]:
    """One at most."""
    rows = await db.fetch(f"SELECT {TITLE} FROM title WHERE account_id = $1 AND status = 'active'", account_id)
    return [Title(**row) for row in rows]


async def retire(db: Connection, account: Account, titles: Sequence[Title]) -> list[Title]:
    rows = await db.fetch(
        f"""
        UPDATE title SET status = 'inactive', version = $2 WHERE account_id = $1 AND title_id = ANY($3::bigint[])
        RETURNING {TITLE}
        """,
        account.account_id,
        account.version,
        [title.title_id for title in titles],
    )
    return [Title(**row) for row in rows]


async def add(db: Connection, account: Account, titles: Sequence[NewTitle], now: datetime) -> list[Title]:
    rows = await db.fetch(
        f"""
        INSERT INTO title (account_id, version, status, created_at, {CONTENT})
        SELECT $1, $2, 'active', $3, {CONTENT}
        FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]) AS new ({CONTENT})
        RETURNING {TITLE}
        """,
        account.account_id,
        account.version,
        now,
        [title.kind for title in titles],
        [title.name for title in titles],
        [title.tax_id for title in titles],
        [title.address for title in titles],
        [title.phone for title in titles],
        [title.bank_name for title in titles],
        [title.bank_account for title in titles],
    )
    return [Title(**row) for row in rows]


async def titles(db: Connection, account_id: int) -> list[Record]:
    """Newest first."""
    return await db.fetch(f"SELECT {TITLE} FROM title WHERE account_id = $1 ORDER BY title_id DESC", account_id)
