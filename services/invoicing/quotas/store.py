"""Statements about quotas and the parts that wait for them. Quotas are locked after parts, those of several months in their order."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from asyncpg import Connection

from services.invoicing.issuing.history import tell_history
from services.invoicing.issuing.rules import NEXT_STATUS
from services.invoicing.quotas.rules import LOOK_SECONDS, Asked, Told, Waiting
from shared.domain.calendar import cycle_of

LEFT = "q.limit_net_fen - q.other_net_fen - q.issued_net_fen - q.held_net_fen"
TOO_MUCH = (
    f"""EXISTS (SELECT FROM quota q WHERE q.legal_entity = p.legal_entity AND q.month = $2 AND {LEFT} < p.net_fen)"""
)
"""Of a part `p` in the month $2, as far as the platform has said what there is."""


async def hold(db: Connection, legal_entity: str, month: str, net_fen: int) -> bool:
    """All of it or nothing."""
    held = await db.fetchval(
        f"""
        INSERT INTO quota AS q (legal_entity, month, held_net_fen) VALUES ($1, $2, $3)
        ON CONFLICT (legal_entity, month) DO UPDATE SET held_net_fen = q.held_net_fen + $3
        WHERE q.limit_net_fen IS NULL OR {LEFT} >= $3 RETURNING true
        """,
        legal_entity,
        month,
        net_fen,
    )
    return held is True


async def count(db: Connection, legal_entity: str, held: Mapping[str, int], issued: Mapping[str, int]) -> None:
    """More or less of each month, whatever is left of it: an invoice counts in the month of its issue (D-39)."""
    for month in sorted({*held, *issued}):
        await db.execute(
            "INSERT INTO quota (legal_entity, month) VALUES ($1, $2) ON CONFLICT DO NOTHING", legal_entity, month
        )
        await db.execute(
            """
            UPDATE quota SET held_net_fen = held_net_fen + $3, issued_net_fen = issued_net_fen + $4
            WHERE legal_entity = $1 AND month = $2
            """,
            legal_entity,
            month,
            held.get(month, 0),
            issued.get(month, 0),
        )


async def ask_soon(db: Connection, legal_entity: str, month: str) -> None:
    """The platform refused what we thought was left."""
    await db.execute("UPDATE quota SET ask_at = 'epoch' WHERE legal_entity = $1 AND month = $2", legal_entity, month)


async def claim_due(db: Connection, at: datetime, now: datetime) -> Asked | None:
    """A month in use of which the platform was not asked lately."""
    row = await db.fetchrow(
        """
        UPDATE quota q SET ask_at = $3 FROM (
            SELECT legal_entity, month FROM quota WHERE month = $2 AND ask_at <= $1
            ORDER BY ask_at, legal_entity LIMIT 1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE q.legal_entity = due.legal_entity AND q.month = due.month
        RETURNING q.legal_entity, q.month, q.issued_net_fen, q.ask_at
        """,
        at,
        cycle_of(now),
        at + timedelta(seconds=LOOK_SECONDS),
    )
    return None if row is None else Asked(**row)


async def keep(db: Connection, asked: Asked, told: Told | None) -> bool:
    """Whether that is news. What was asked about again meanwhile is left to the later answer."""
    if told is None:
        return False
    news = await db.fetchval(
        """
        UPDATE quota q SET limit_net_fen = $4, other_net_fen = $5 FROM (
            SELECT legal_entity, month, limit_net_fen, other_net_fen FROM quota
            WHERE legal_entity = $1 AND month = $2 AND ask_at = $3 FOR UPDATE
        ) before
        WHERE q.legal_entity = before.legal_entity AND q.month = before.month
        RETURNING (before.limit_net_fen, before.other_net_fen) IS DISTINCT FROM ($4, $5)
        """,
        asked.legal_entity,
        asked.month,
        asked.ask_at,
        told.limit_net_fen,
        told.other_net_fen,
    )
    return news is True


async def wake_waiting(db: Connection, asked: Asked, *, news: bool) -> None:
    """At news all parts of the seller that wait look at once. One that somebody has just now looks later by itself."""
    await db.execute(
        """
        UPDATE part p SET due_at = 'epoch' FROM (
            SELECT account_id, part_id FROM part WHERE $2 AND status = 'waiting_quota' AND legal_entity = $1 FOR UPDATE SKIP LOCKED
        ) waiting
        WHERE p.account_id = waiting.account_id AND p.part_id = waiting.part_id
        """,
        asked.legal_entity,
        news,
    )


async def next_waiting(db: Connection, at: datetime, now: datetime) -> Waiting | None:
    """A part that is too much and not told to wait yet; or one that waits and is to look again."""
    row = await db.fetchrow(
        f"""
        SELECT p.account_id, p.part_id, p.request_id, p.legal_entity, p.net_fen, p.status, p.told_month, $2 AS month, p.traceparent,
            (SELECT {LEFT} FROM quota q WHERE q.legal_entity = p.legal_entity AND q.month = $2) AS left_net_fen
        FROM part p WHERE p.due_at <= $1 AND (p.status = 'waiting_quota' OR (p.status = 'queued' AND {TOO_MUCH}))
        ORDER BY p.due_at, p.part_id LIMIT 1 FOR UPDATE OF p SKIP LOCKED
        """,
        at,
        cycle_of(now),
    )
    return None if row is None else Waiting(**row, claimed_at=at)


async def looked(db: Connection, part: Waiting, now: datetime) -> None:
    """It goes on, or waits and looks again."""
    status = NEXT_STATUS[part.status, "fits" if part.fits else "short"]
    await db.execute(
        """
        UPDATE part SET status = $3, due_at = $4, told_month = CASE WHEN $5 THEN told_month ELSE $6 END
        WHERE account_id = $1 AND part_id = $2
        """,
        part.account_id,
        part.part_id,
        status,
        part.look_at,
        part.fits,
        part.month,
    )
    await tell_history(db, part.account_id, part.part_id, part.status, status, now)


async def set_aside(part: Waiting, db: Connection, until: datetime) -> None:
    await db.execute(
        "UPDATE part SET due_at = $3 WHERE account_id = $1 AND part_id = $2", part.account_id, part.part_id, until
    )
