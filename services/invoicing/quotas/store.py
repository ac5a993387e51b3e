"""Statements about quotas. They are locked after parts, those of several months in their order."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg import Connection

from services.invoicing.quotas.rules import LOOK_SECONDS, AskedQuota, QuotaChange, QuotaFigures
from shared.domain.calendar import cycle_of

LEFT = "q.limit_net_fen - q.other_net_fen - q.issued_net_fen - q.held_net_fen"


def left(part: str, month: str) -> str:
    """What is left of the month for the seller of a part, as far as the platform has said what there is."""
    return f"(SELECT {LEFT} FROM quota q WHERE q.legal_entity = {part}.legal_entity AND q.month = {month})"


def too_much(part: str, month: str) -> str:
    """Of a part: more than what is left. Not if nobody knows what is left."""
    return f"coalesce({left(part, month)} < {part}.net_fen, false)"


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


async def count(db: Connection, changes: Sequence[QuotaChange]) -> None:
    """An invoice counts in the month of its issue (D-39).

    What is no longer held was held before, so its row is there: `greatest` only keeps PostgreSQL from checking the row that it would
    insert if there were none.
    """
    await db.execute(
        """
        WITH change AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bool[])
                AS c (legal_entity, month, held, issued, ask_soon)
        )
        INSERT INTO quota AS q (legal_entity, month, held_net_fen, issued_net_fen)
        SELECT legal_entity, month, greatest(held, 0), issued FROM change ORDER BY legal_entity, month
        ON CONFLICT (legal_entity, month) DO UPDATE SET (held_net_fen, issued_net_fen, ask_at) = (
            SELECT q.held_net_fen + c.held, q.issued_net_fen + c.issued, CASE WHEN c.ask_soon THEN 'epoch' ELSE q.ask_at END
            FROM change c WHERE c.legal_entity = q.legal_entity AND c.month = q.month
        )
        """,
        [one.legal_entity for one in changes],
        [one.month for one in changes],
        [one.held_net_fen for one in changes],
        [one.issued_net_fen for one in changes],
        [one.ask_soon for one in changes],
    )


async def claim_due(db: Connection, at: datetime, now: datetime) -> AskedQuota | None:
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
    return None if row is None else AskedQuota(**row)


async def keep(db: Connection, figures: Sequence[QuotaFigures]) -> list[str]:
    """The sellers of whom that is news. What was asked about again meanwhile is left to the later answer."""
    rows = await db.fetch(
        """
        WITH told AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[])
                AS t (legal_entity, month, ask_at, limit_net_fen, other_net_fen)
        ), before AS (
            SELECT q.* FROM quota q JOIN told USING (legal_entity, month, ask_at) FOR UPDATE OF q
        )
        UPDATE quota q SET limit_net_fen = told.limit_net_fen, other_net_fen = told.other_net_fen
        FROM before JOIN told USING (legal_entity, month)
        WHERE q.legal_entity = before.legal_entity AND q.month = before.month
        RETURNING q.legal_entity, (before.limit_net_fen, before.other_net_fen) IS DISTINCT FROM (told.limit_net_fen, told.other_net_fen)
            AS news
        """,
        [one.asked.legal_entity for one in figures],
        [one.asked.month for one in figures],
        [one.asked.ask_at for one in figures],
        [one.limit_net_fen for one in figures],
        [one.other_net_fen for one in figures],
    )
    return [row["legal_entity"] for row in rows if row["news"]]
