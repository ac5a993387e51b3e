"""Which accounts' balances changed, and what of that was told. The hot path only notes that something changed (`NOTE_CHANGE`)."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from asyncpg import Connection

from services.ledger.domain.changes import Changed
from services.ledger.store.items import NOTE_CHANGE

PUBLISH_SECONDS = 1.0
LEASE_SECONDS = 30.0
OPENINGS_MAX = 500


async def claim(db: Connection, at: datetime, _: datetime) -> Changed | None:
    """An account whose balance changed and was not published within the last second."""
    row = await db.fetchrow(
        """
        UPDATE account_change c SET lease_until = $3 FROM (
            SELECT account_id FROM account_change
            WHERE version > published AND published_at <= $2 AND lease_until <= $1
            ORDER BY published_at, account_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE c.account_id = due.account_id RETURNING c.account_id, c.version, c.deficits
        """,
        at,
        at - timedelta(seconds=PUBLISH_SECONDS),
        at + timedelta(seconds=LEASE_SECONDS),
    )
    return None if row is None else Changed(row["account_id"], row["version"], at, json.loads(row["deficits"]))


async def mark_told(db: Connection, changed: Changed, deficits: Mapping[str, int]) -> None:
    await db.execute(
        """
        UPDATE account_change SET published = greatest(published, $2), published_at = $3, lease_until = 'epoch', deficits = $4
        WHERE account_id = $1
        """,
        changed.account_id,
        changed.version,
        changed.claimed_at,
        json.dumps(deficits),
    )


async def note_openings(db: Connection, _: datetime, now: datetime) -> int | None:
    """The next accounts of whose sums some have opened by now have changed. Returns how many; None when there are none."""
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
    if not rows:
        return None
    await db.execute(
        NOTE_CHANGE.format(source="unnest($1::bigint[]) AS opened (account_id)"), [row["account_id"] for row in rows]
    )
    await db.execute("UPDATE opening_sweep SET opens_at = $1, through_id = $2", *rows[-1])
    return len(rows)
