"""What a large reservation may be promised of the sums, and the promise: the only step of it that locks sums.

What takes a look at a million items is read before anything is locked; what others take before the sums are held is missing then.
"""

from datetime import datetime

from asyncpg import Connection

from services.ledger.journal import sums
from services.ledger.journal.sums import SumKey
from services.ledger.large_reservations.rules import EndingMonth, FreeSum, HeldSums, LargeReservation
from shared.contracts.ledger import ReserveBalance


async def of_products(db: Connection, command: ReserveBalance) -> dict[SumKey, int]:
    """What the items of the selected products have, by sum; nothing if no products are named."""
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY}, sum(invoiceable_fen)::bigint FROM item
        WHERE $2 <> '{{}}'::text[] AND account_id = ANY ($1) AND product_code = ANY ($2) AND invoiceable_fen > 0 AND invoiceable_fen <> 0
            AND ($3::text IS NULL OR subject = $3) AND ($4 = '{{}}'::text[] OR cycle = ANY ($4))
        GROUP BY {sums.KEY}
        """,
        list(command.accounts),
        list(command.products),
        command.subject,
        list(command.cycles),
    )
    return {SumKey(*key): fen for *key, fen in rows}


async def oldest_of(db: Connection, command: ReserveBalance, month: EndingMonth, now: datetime) -> dict[SumKey, int]:
    """Of the month in which the amount ends: what its oldest items have up to there, by sum."""
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY}, sum(greatest(0, least(fen, $3 - before_fen)))::bigint FROM (
            SELECT {sums.KEY}, invoiceable_fen AS fen,
                sum(invoiceable_fen) OVER (ORDER BY occurred_at, item_id) - invoiceable_fen AS before_fen
            FROM item WHERE account_id = $1 AND cycle = $2 AND invoiceable_fen > 0 AND invoiceable_fen <> 0 AND opens_at <= $4
                AND ($5::text IS NULL OR subject = $5) AND ($6 = '{{}}'::text[] OR product_code = ANY ($6))
        ) AS oldest GROUP BY {sums.KEY}
        """,
        *month,
        now,
        command.subject,
        list(command.products),
    )
    return {SumKey(*key): fen for *key, fen in rows}


async def free_sums(db: Connection, command: ReserveBalance, now: datetime) -> list[FreeSum]:
    """What is free of the selected sums."""
    return await _free_sums(db, command, now, "")


async def locked_sums(db: Connection, command: ReserveBalance, now: datetime) -> list[FreeSum]:
    """The same, locked in the order of their key."""
    return await _free_sums(db, command, now, "FOR UPDATE")


async def _free_sums(db: Connection, command: ReserveBalance, now: datetime, locking: str) -> list[FreeSum]:
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY}, positive_fen FROM balance_sum
        WHERE account_id = ANY ($1) AND opens_at <= $2 AND ($3::text IS NULL OR subject = $3)
            AND ($4 = '{{}}'::text[] OR cycle = ANY ($4))
        ORDER BY {sums.KEY} {locking}
        """,
        list(command.accounts),
        now,
        command.subject,
        list(command.cycles),
    )
    return [FreeSum(SumKey(*key), fen) for *key, fen in rows]


async def promise(db: Connection, large: LargeReservation, held: HeldSums) -> None:
    """From free to reserved in the sums; the items follow."""
    await db.execute(
        f"""
        WITH promised AS (
            SELECT * FROM {sums.given(4, "bigint")} AS p ({sums.KEY}, fen)
        ), kept AS (
            INSERT INTO promise ({sums.KEY}, promised_fen, reservation_id) SELECT p.*, $3 FROM promised p
        ), moved AS (
            UPDATE balance_sum s SET positive_fen = s.positive_fen - p.fen, reserved_fen = s.reserved_fen + p.fen
            FROM promised p WHERE {sums.same("s", "p")} RETURNING s.account_id
        ), held AS (
            UPDATE reservation SET sums_held = true WHERE account_id = $1 AND request_id = $2
        )
        {sums.NOTE_CHANGE.format(source="moved")}
        """,
        large.account_id,
        large.request_id,
        large.reservation_id,
        *sums.columns([key for key, _ in held.promises]),
        [fen for _, fen in held.promises],
    )
