"""Copies of what title says, as sealed as it came. A lower version than one already kept is ignored."""

import json

from asyncpg import Connection

from services.invoicing.accounts.rules import Applicant
from shared.contracts.titles import AccountStatusChanged, MemberChanged, TitleChanged

SEALED = ("name", "tax_id", "address", "phone", "bank_name", "bank_account")


async def keep_account_status(db: Connection, fact: AccountStatusChanged) -> None:
    await db.execute(
        """
        INSERT INTO account AS a (account_id, status, version) VALUES ($1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE SET status = excluded.status, version = excluded.version
        WHERE a.version < excluded.version
        """,
        fact.account_id,
        fact.status,
        fact.version,
    )


async def keep_title(db: Connection, fact: TitleChanged) -> None:
    """Nothing of what was said before an erasure."""
    await db.execute(
        """
        INSERT INTO title AS t (account_id, title_id, version, status, kind, name, tax_id, address, phone, bank_name, bank_account)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
        WHERE NOT EXISTS (SELECT FROM account WHERE account_id = $1 AND erased_with > $3)
        ON CONFLICT (account_id, title_id) DO UPDATE SET version = excluded.version, status = excluded.status,
            kind = excluded.kind, name = excluded.name, tax_id = excluded.tax_id, address = excluded.address,
            phone = excluded.phone, bank_name = excluded.bank_name, bank_account = excluded.bank_account
        WHERE t.version < excluded.version
        """,
        fact.account_id,
        fact.title_id,
        fact.version,
        fact.status,
        fact.kind,
        *(getattr(fact, name) for name in SEALED),
    )


async def keep_member(db: Connection, fact: MemberChanged) -> None:
    """From both ends, so that each finds it under its own account."""
    for table, other, account_id, other_id in (
        ("member", "member_id", fact.account_id, fact.member_id),
        ("managed_by", "manager_id", fact.member_id, fact.account_id),
    ):
        await db.execute(
            f"""
            INSERT INTO {table} AS t (account_id, {other}, permissions, version) VALUES ($1, $2, $3, $4)
            ON CONFLICT (account_id, {other}) DO UPDATE SET permissions = excluded.permissions, version = excluded.version
            WHERE t.version < excluded.version
            """,
            account_id,
            other_id,
            list(fact.permissions),
            fact.version,
        )


async def applicant(db: Connection, account_id: int) -> Applicant:
    """What is known of an account that asks: its status, its members, its active title, sealed. Its row is held until the commit, so
    that its erasure comes before or after.
    """
    row = await db.fetchrow(
        """
        WITH a AS (SELECT account_id, status, version, erased_with FROM account WHERE account_id = $1 FOR SHARE)
        SELECT a.status, coalesce(a.erased_with > greatest(a.version, t.version), false) AS erased,
            t.title_id, t.version, t.kind, t.name, t.tax_id, t.address, t.phone, t.bank_name,
            t.bank_account,
            (SELECT coalesce(jsonb_object_agg(member_id, permissions), '{}') FROM member m WHERE m.account_id = $1) AS members,
            (SELECT coalesce(array_agg(p), '{}') FROM managed_by b, unnest(b.permissions) AS p WHERE b.account_id = $1) AS granted
        FROM (SELECT $1::bigint AS account_id) me
            LEFT JOIN a USING (account_id)
            LEFT JOIN title t ON t.account_id = me.account_id AND t.status = 'active'
        ORDER BY t.version DESC, t.title_id DESC LIMIT 1
        """,
        account_id,
    )
    assert row is not None
    values = dict(row)
    status, erased, granted = (values.pop(name) for name in ("status", "erased", "granted"))
    members = {int(member): tuple(codes) for member, codes in json.loads(values.pop("members")).items()}
    title = None if row["title_id"] is None else values
    return Applicant(status, title, erased, members, frozenset(granted))
