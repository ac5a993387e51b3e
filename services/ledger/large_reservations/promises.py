"""What a large reservation may be promised of the sums, and the promise: the only step of it that locks sums."""

from collections.abc import Mapping
from datetime import datetime

from asyncpg import Connection

from services.ledger.journal.store import NOTE_CHANGE
from services.ledger.large_reservations.rules import Allocation, End, Foreseen, Hold, ends_in
from services.ledger.netting.rules import SumKey
from shared.contracts.ledger import ReserveBalance

KEY = "account_id, subject, cycle, content, opens_at"


async def foresee(db: Connection, ask: ReserveBalance, now: datetime) -> Foreseen:
    """What it takes a look at a million items to know. Nothing is locked meanwhile, and what others take before the sums are held is
    missing in the end.
    """
    of_products = await _of_products(db, ask) if ask.products else None
    end = ends_in(ask.amount_fen, await _sums(db, ask, of_products, now))
    return Foreseen(of_products, await _oldest_of(db, ask, end, now) if end else {})


async def _of_products(db: Connection, ask: ReserveBalance) -> dict[SumKey, int]:
    """What the items of the selected products have, by sum."""
    rows = await db.fetch(
        f"""
        SELECT {KEY}, sum(invoiceable_fen)::bigint FROM item
        WHERE account_id = ANY ($1) AND product_code = ANY ($2) AND invoiceable_fen > 0 AND invoiceable_fen <> 0
            AND ($3::text IS NULL OR subject = $3) AND ($4 = '{{}}'::text[] OR cycle = ANY ($4))
        GROUP BY {KEY}
        """,
        list(ask.accounts),
        list(ask.products),
        ask.subject,
        list(ask.cycles),
    )
    return {SumKey(*key): fen for *key, fen in rows}


async def _oldest_of(db: Connection, ask: ReserveBalance, end: End, now: datetime) -> dict[SumKey, int]:
    """Of the month in which the amount ends: what its oldest items have up to there, by sum."""
    rows = await db.fetch(
        f"""
        SELECT {KEY}, sum(greatest(0, least(fen, $3 - before_fen)))::bigint FROM (
            SELECT {KEY}, invoiceable_fen AS fen,
                sum(invoiceable_fen) OVER (ORDER BY occurred_at, item_id) - invoiceable_fen AS before_fen
            FROM item WHERE account_id = $1 AND cycle = $2 AND invoiceable_fen > 0 AND invoiceable_fen <> 0 AND opens_at <= $4
                AND ($5::text IS NULL OR subject = $5) AND ($6 = '{{}}'::text[] OR product_code = ANY ($6))
        ) AS oldest GROUP BY {KEY}
        """,
        *end,
        now,
        ask.subject,
        list(ask.products),
    )
    return {SumKey(*key): fen for *key, fen in rows}


async def free_sums(db: Connection, ask: ReserveBalance, foreseen: Foreseen, now: datetime) -> list[tuple[SumKey, int]]:
    """What is free of the selected sums, month by month; locked in key order."""
    return await _sums(db, ask, foreseen.of_products, now, "FOR UPDATE")


async def _sums(
    db: Connection, ask: ReserveBalance, of_products: Mapping[SumKey, int] | None, now: datetime, locking: str = ""
) -> list[tuple[SumKey, int]]:
    rows = await db.fetch(
        f"""
        SELECT {KEY}, positive_fen FROM balance_sum
        WHERE account_id = ANY ($1) AND opens_at <= $2 AND ($3::text IS NULL OR subject = $3)
            AND ($4 = '{{}}'::text[] OR cycle = ANY ($4))
        ORDER BY {KEY} {locking}
        """,
        list(ask.accounts),
        now,
        ask.subject,
        list(ask.cycles),
    )
    found = [(SumKey(*key), fen) for *key, fen in rows]
    if of_products is not None:
        found = [(key, min(fen, of_products.get(key, 0))) for key, fen in found]
    return sorted(
        ((key, fen) for key, fen in found if fen > 0),
        key=lambda one: (one[0].account_id, one[0].cycle, one[0].subject, one[0].content),
    )


async def promise(db: Connection, job: Allocation, held: Hold) -> None:
    """From free to reserved in the sums; the items follow. A refusal ends the job."""
    keys = [key for key, _ in held.promises]
    columns = [
        [getattr(key, name) for key in keys] for name in ("account_id", "subject", "cycle", "content", "opens_at")
    ]
    await db.execute(
        f"""
        WITH promised AS (
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[])
                AS p ({KEY}, fen)
        ), kept AS (
            INSERT INTO remainder ({KEY}, remainder_fen, reservation_id) SELECT p.*, $7 FROM promised p
        ), moved AS (
            UPDATE balance_sum s SET positive_fen = s.positive_fen - p.fen, reserved_fen = s.reserved_fen + p.fen
            FROM promised p WHERE s.account_id = p.account_id AND s.subject = p.subject AND s.cycle = p.cycle
                AND s.content = p.content AND s.opens_at = p.opens_at RETURNING s.account_id
        )
        {NOTE_CHANGE.format(source="moved")}
        """,
        *columns,
        [fen for _, fen in held.promises],
        job.reservation_id,
    )
    await db.execute(
        "UPDATE allocation SET status = $3 WHERE account_id = $1 AND request_id = $2",
        job.account_id,
        job.request_id,
        "allocating",
    )
