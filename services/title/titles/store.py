"""Every statement about titles. Whoever changes one holds the row of its account."""

from datetime import datetime

from asyncpg import Connection, Record

from services.title.accounts.rules import Account
from services.title.titles.rules import NewTitle, Title

TITLE = "title_id, version, status, kind, name, tax_id, address, phone, bank_name, bank_account"


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


async def titles(db: Connection, account_id: int) -> list[Record]:
    return await db.fetch(f"SELECT {TITLE} FROM title WHERE account_id = $1 ORDER BY title_id DESC", account_id)
