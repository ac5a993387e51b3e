"""Every statement about erasures: that one has begun, what it waits for, and what is blank after it."""

from datetime import datetime

from asyncpg import Connection

from services.invoicing.erasures.rules import OpenRequest, Resolved
from shared.contracts.titles import AccountErased, AccountErasureStarted

BEFORE = "coalesce((r.title->>'version')::bigint, 0) < e.version"
"""A request `r` that was made before an erasure `e`; one without a title only pays deficits."""
MINE = f"r.account_id = e.account_id AND {BEFORE}"
OF_PART = "SELECT FROM request r JOIN part p USING (account_id, request_id)"


async def begin(db: Connection, fact: AccountErasureStarted) -> None:
    """Nothing new is accepted from here on. Told again, it is looked at again."""
    await db.execute(
        """
        WITH refused AS (
            INSERT INTO account AS a (account_id, status, version, erased_with) VALUES ($1, 'open', 0, $2)
            ON CONFLICT (account_id) DO UPDATE SET erased_with = greatest(a.erased_with, excluded.erased_with)
        )
        INSERT INTO erasure (account_id, version) VALUES ($1, $2)
        ON CONFLICT (account_id, version) DO UPDATE SET rested_at = NULL
        """,
        fact.account_id,
        fact.version,
    )


async def next_step(db: Connection, _: datetime, __: datetime) -> OpenRequest | Resolved | None:
    """Of an erasure that waits: a request to cancel; or that nothing is under way any more. Who has registered anew meanwhile goes on."""
    row = await db.fetchrow(
        f"""
        SELECT e.account_id, e.version, w.request_id FROM erasure e CROSS JOIN LATERAL (
            SELECT min(request_id) FILTER (WHERE NOT cancel_wished) AS request_id, count(*) AS waiting FROM request r
            WHERE r.account_id = e.account_id AND {BEFORE} AND r.closed_at IS NULL
        ) w
        WHERE e.rested_at IS NULL AND (w.request_id IS NOT NULL OR (w.waiting = 0
            AND NOT EXISTS ({OF_PART} WHERE {MINE} AND (p.status IN ('queued', 'submitting', 'waiting_quota') OR p.recheck))
            AND NOT EXISTS ({OF_PART} JOIN credit_note n USING (account_id, part_id)
                WHERE {MINE} AND (n.status IN ('requested', 'form_pending') OR n.recheck))
            AND NOT EXISTS ({OF_PART} JOIN invoice_file_job j USING (account_id, part_id) WHERE {MINE} AND j.status = 'due')))
        ORDER BY e.account_id, e.version LIMIT 1 FOR UPDATE OF e SKIP LOCKED
        """
    )
    if row is None:
        return None
    if row["request_id"] is not None:
        return OpenRequest(row["account_id"], row["request_id"])
    return Resolved(row["account_id"], row["version"])


async def rest(db: Connection, resolved: Resolved, now: datetime) -> None:
    await db.execute(
        "UPDATE erasure SET rested_at = $3 WHERE account_id = $1 AND version = $2",
        resolved.account_id,
        resolved.version,
        now,
    )


async def erase(db: Connection, fact: AccountErased) -> None:
    """Copies of titles that were said before it. What was printed of them stays with the invoice; what came to none says nothing any
    more, and neither do the platform's own words about it.
    """
    await db.execute(
        """
        WITH titles AS (
            DELETE FROM title WHERE account_id = $1 AND version < $2
        ), requests AS (
            UPDATE request SET title = title - '{name,tax_id,address,phone,bank_name,bank_account}'::text[],
                remark = CASE WHEN status IN ('refused', 'voided', 'failed') THEN '' ELSE remark END
            WHERE account_id = $1 AND (title->>'version')::bigint < $2
        ), parts AS (
            UPDATE part p SET text = NULL FROM request r
            WHERE p.account_id = $1 AND r.account_id = $1 AND p.request_id = r.request_id AND (r.title->>'version')::bigint < $2
        ), notes AS (
            UPDATE credit_note n SET text = NULL, remark = CASE WHEN n.status = 'failed' THEN '' ELSE n.remark END
            FROM part p JOIN request r USING (account_id, request_id)
            WHERE n.account_id = $1 AND p.account_id = $1 AND p.part_id = n.part_id AND (r.title->>'version')::bigint < $2
        )
        INSERT INTO account AS a (account_id, status, version, erased_with) VALUES ($1, 'open', 0, $2)
        ON CONFLICT (account_id) DO UPDATE SET erased_with = greatest(a.erased_with, excluded.erased_with)
        """,
        fact.account_id,
        fact.version,
    )
