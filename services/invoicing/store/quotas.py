"""Statements about quotas and the parts that wait for them. A quota is locked after the parts that use it, and several in their order."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from asyncpg import Connection

from services.invoicing.domain.parts import NEXT_STATUS, WAITING_QUOTA
from services.invoicing.domain.quotas import LOOK_SECONDS, Asked, Found, Told, Waiting
from services.invoicing.store.history import tell_history
from shared.domain.calendar import cycle_of

LEFT = "q.limit_net_fen - q.other_net_fen - q.issued_net_fen - q.held_net_fen"


async def hold(db: Connection, legal_entity: str, net_fen: int, now: datetime) -> Found:
    """Of the current month; all of it or nothing."""
    month = cycle_of(now)
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
    if held:
        return Found(month, True, net_fen)
    left = await db.fetchval(
        f"SELECT greatest({LEFT}, 0) FROM quota q WHERE legal_entity = $1 AND month = $2", legal_entity, month
    )
    return Found(month, False, left)


async def release(db: Connection, holds: Iterable[tuple[str, str | None, int]]) -> None:
    """Seller, month and net amount of parts that will not be issued; one that holds nothing has no month."""
    for legal_entity, month, net_fen in sorted(one for one in holds if one[1] is not None):
        await db.execute(
            "UPDATE quota SET held_net_fen = held_net_fen - $3 WHERE legal_entity = $1 AND month = $2",
            legal_entity,
            month,
            net_fen,
        )


async def use(db: Connection, legal_entity: str, net_fen: int, issued_at: datetime) -> None:
    """An invoice counts in the month of its issue, whichever it was asked for in (D-39)."""
    await db.execute(
        """
        INSERT INTO quota AS q (legal_entity, month, issued_net_fen) VALUES ($1, $2, $3)
        ON CONFLICT (legal_entity, month) DO UPDATE SET issued_net_fen = q.issued_net_fen + $3
        """,
        legal_entity,
        cycle_of(issued_at),
        net_fen,
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
        WHERE q.legal_entity = due.legal_entity AND q.month = due.month RETURNING q.legal_entity, q.month, q.issued_net_fen
        """,
        at,
        cycle_of(now),
        at + timedelta(seconds=LOOK_SECONDS),
    )
    return None if row is None else Asked(**row)


async def keep(db: Connection, asked: Asked, told: Told | None) -> None:
    if told is not None:
        await db.execute(
            "UPDATE quota SET limit_net_fen = $3, other_net_fen = $4 WHERE legal_entity = $1 AND month = $2",
            asked.legal_entity,
            asked.month,
            told.limit_net_fen,
            told.other_net_fen,
        )


async def next_waiting(db: Connection, at: datetime, _: datetime) -> Waiting | None:
    """A part that waits for quota and is to look whether there is some."""
    row = await db.fetchrow(
        """
        SELECT account_id, part_id, request_id, legal_entity, net_fen, waiting_since, traceparent FROM part
        WHERE status = 'waiting_quota' AND due_at <= $1 ORDER BY due_at, account_id, part_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        at,
    )
    return None if row is None else Waiting(**row, claimed_at=at)


async def looked(db: Connection, part: Waiting, found: Found, now: datetime) -> None:
    """Found: queued again. Else it looks again later, or when there is news of the quota."""
    status = NEXT_STATUS[WAITING_QUOTA, "held"] if found.held else WAITING_QUOTA
    await db.execute(
        """
        UPDATE part SET status = $3, quota_month = $4, due_at = $5,
            waiting_since = CASE WHEN $6 THEN NULL ELSE coalesce(waiting_since, $7) END
        WHERE account_id = $1 AND part_id = $2
        """,
        part.account_id,
        part.part_id,
        status,
        found.month if found.held else None,
        part.claimed_at if found.held else part.look_at,
        found.held,
        now,
    )
    await tell_history(db, part.account_id, part.part_id, WAITING_QUOTA, status, now)


async def set_aside(part: Waiting, db: Connection, until: datetime) -> None:
    await db.execute(
        "UPDATE part SET due_at = $3 WHERE account_id = $1 AND part_id = $2", part.account_id, part.part_id, until
    )


async def wake_waiting(db: Connection, legal_entity: str) -> None:
    """There is news of the seller's quota."""
    await db.execute(
        "UPDATE part SET due_at = 'epoch' WHERE status = 'waiting_quota' AND legal_entity = $1", legal_entity
    )
