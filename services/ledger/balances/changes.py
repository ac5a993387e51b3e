"""Which accounts' balances changed, and what of that was published. The hot path only notes that something changed (`NOTE_CHANGE`).

The claim takes many accounts at once and is ended by a version, not by an epoch: so it is not the one of `shared/runtime/leases.py`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from asyncpg import Connection

from services.ledger.balances.rules import ChangedAccount, Openings
from services.ledger.journal.sums import NOTE_CHANGE

PUBLISH_SECONDS = 1.0
LEASE_SECONDS = 30.0
CLAIM_MAX = 200
OPENINGS_MAX = 500


async def claim(db: Connection, at: datetime, _: datetime) -> list[ChangedAccount] | None:
    """Accounts whose balance changed and was not published within the last second, those that waited longest first."""
    rows = await db.fetch(
        """
        UPDATE account_change c SET lease_until = $3 FROM (
            SELECT account_id FROM account_change
            WHERE version > published AND published_at <= $2 AND lease_until <= $1
            ORDER BY published_at, account_id LIMIT $4 FOR UPDATE SKIP LOCKED
        ) due
        WHERE c.account_id = due.account_id RETURNING c.account_id, c.version, c.deficits
        """,
        at,
        at - timedelta(seconds=PUBLISH_SECONDS),
        at + timedelta(seconds=LEASE_SECONDS),
        CLAIM_MAX,
    )
    found = [ChangedAccount(row["account_id"], row["version"], at, json.loads(row["deficits"])) for row in rows]
    return sorted(found, key=lambda one: one.account_id) or None


async def mark_published(
    db: Connection, changed: Sequence[ChangedAccount], deficits: Mapping[int, Mapping[str, int]]
) -> None:
    await db.execute(
        """
        WITH said AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::jsonb[]) AS t (account_id, version, at, deficits)
        ), locked AS (
            SELECT account_id FROM account_change WHERE account_id = ANY ($1) ORDER BY account_id FOR UPDATE
        )
        UPDATE account_change c SET published = greatest(c.published, t.version), published_at = t.at, lease_until = 'epoch',
            deficits = t.deficits
        FROM said t JOIN locked USING (account_id) WHERE c.account_id = t.account_id
        """,
        [one.account_id for one in changed],
        [one.version for one in changed],
        [one.claimed_at for one in changed],
        [json.dumps(deficits[one.account_id]) for one in changed],
    )


async def next_openings(db: Connection, _: datetime, now: datetime) -> Openings | None:
    """The next sums that have opened by now; whoever finds them sweeps alone."""
    place = await db.fetchrow("SELECT opens_at, through_id FROM opening_sweep FOR UPDATE SKIP LOCKED")
    if place is None:
        return None
    rows = await db.fetch(
        """
        SELECT DISTINCT opens_at, account_id FROM balance_sum
        WHERE (opens_at, account_id) > ($1, $2) AND opens_at <= $3 ORDER BY opens_at, account_id LIMIT $4
        """,
        *place,
        now,
        OPENINGS_MAX,
    )
    accounts = tuple(row["account_id"] for row in rows)
    return Openings(rows[-1]["opens_at"], accounts[-1], accounts) if rows else None


async def note_openings(db: Connection, opened: Openings) -> None:
    await db.execute(NOTE_CHANGE.format(source="unnest($1::bigint[]) AS opened (account_id)"), opened.accounts)
    await db.execute("UPDATE opening_sweep SET opens_at = $1, through_id = $2", opened.opens_at, opened.through_id)
