"""Large reservations in work: found by the workers, allocated in bounded steps, answered. Each step is a transaction of its own.

What is due is locked as it is found, and is as it is now: PostgreSQL looks again at a row that changed before it had the lock. What it
looked up in other rows may be older; it errs to one side only, for once the sums are held a reservation's promises only become fewer.
"""

from datetime import datetime

from asyncpg import Connection

from services.ledger.journal import limits, sums
from services.ledger.journal.sums import SumKey
from services.ledger.large_reservations.rules import AllocationStep, LargeReservation, PickedItem, Promise
from shared.contracts.ledger import BalanceReserved, Group, ReservationRefused

NUMBERING = 2
"""The class of the advisory locks under which groups get their numbers."""

IN_WORK = "r.large AND r.answer IS NULL"
LARGE = "r.account_id, r.request_id, r.reservation_id, r.command, r.traceparent"
SHORT = "EXISTS (SELECT FROM promise s WHERE s.reservation_id = r.reservation_id AND s.short)"
ALLOCATED = "NOT EXISTS (SELECT FROM promise s WHERE s.reservation_id = r.reservation_id)"

OPEN_ITEMS = f"""
    FROM item WHERE {sums.is_given(1)} AND invoiceable_fen <> 0 AND invoiceable_fen > 0
        AND (occurred_at, item_id) > ($6, $7) AND ($8 = '{{}}'::text[] OR product_code = ANY ($8))
"""
"""Of a promised sum, after those that were looked at."""


# what is due


async def next_to_hold(db: Connection, at: datetime, _: datetime) -> LargeReservation | None:
    """The oldest whose sums nobody is holding yet."""
    return await _next(db, "NOT r.sums_held", at)


async def next_to_answer(db: Connection, at: datetime, _: datetime) -> LargeReservation | None:
    """One of which nothing is left to allocate, or nothing can be allocated any more."""
    return await _next(db, f"r.sums_held AND ({SHORT} OR {ALLOCATED})", at)


async def _next(db: Connection, due: str, at: datetime) -> LargeReservation | None:
    row = await db.fetchrow(
        f"""
        SELECT {LARGE} FROM reservation r WHERE {IN_WORK} AND {due} AND r.again_at <= $1
        ORDER BY r.again_at, r.arrived_at, r.account_id, r.request_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        at,
    )
    return None if row is None else LargeReservation(*row)


async def set_aside(large: LargeReservation, db: Connection, until: datetime) -> None:
    await db.execute(
        "UPDATE reservation SET again_at = $3 WHERE account_id = $1 AND request_id = $2",
        large.account_id,
        large.request_id,
        until,
    )


async def next_promise(db: Connection, at: datetime, _: datetime) -> Promise | None:
    """One that nobody is allocating from, of the oldest reservation."""
    row = await db.fetchrow(
        f"""
        SELECT {LARGE}, {sums.of("p")}, p.promised_fen, p.after_at, p.after_id
        FROM promise p JOIN reservation r ON r.reservation_id = p.reservation_id AND {IN_WORK}
        WHERE NOT {SHORT} AND NOT p.short AND p.again_at <= $1
        ORDER BY p.again_at, r.arrived_at, r.reservation_id, p.account_id, p.cycle, p.subject, p.content, p.opens_at
        LIMIT 1 FOR UPDATE OF p SKIP LOCKED
        """,
        at,
    )
    if row is None:
        return None
    *large, account_id, subject, cycle, content, opens_at, fen, after_at, after_id = tuple(row)
    key = SumKey(account_id, subject, cycle, content, opens_at)
    return Promise(LargeReservation(*large), key, fen, after_at, after_id)


async def set_promise_aside(promise: Promise, db: Connection, until: datetime) -> None:
    await db.execute(
        f"UPDATE promise SET again_at = $7 WHERE {sums.is_given(1)} AND reservation_id = $6",
        *promise.key,
        promise.reservation.reservation_id,
        until,
    )


# a step


async def pick(db: Connection, promise: Promise) -> list[PickedItem]:
    """Its next open items, oldest first, locked."""
    rows = await db.fetch(
        f"""
        SELECT item_id, occurred_at, invoiceable_fen, tax_percent, spec {OPEN_ITEMS}
        ORDER BY occurred_at, item_id LIMIT $9 FOR UPDATE
        """,
        *_after(promise),
        limits.STEP_ITEMS,
    )
    return [PickedItem(item_id, at, fen, (tax_percent, spec)) for item_id, at, fen, tax_percent, spec in rows]


async def has_open_items(db: Connection, promise: Promise) -> bool:
    there_are: bool = await db.fetchval(f"SELECT EXISTS (SELECT {OPEN_ITEMS})", *_after(promise))
    return there_are


def _after(promise: Promise) -> tuple[object, ...]:
    return *promise.key, promise.after_at, promise.after_id, list(promise.reservation.command.products)


async def lock_numbering(db: Connection, large: LargeReservation) -> None:
    """Until the end of the transaction nobody else adds a group to the reservation."""
    await db.execute("SELECT pg_advisory_xact_lock($1, hashint8($2))", NUMBERING, large.reservation_id)


async def groups(db: Connection, large: LargeReservation) -> list[Group]:
    rows = await db.fetch(
        """
        SELECT group_no, owner_id AS account_id, subject, content, tax_percent, cycle, spec, count, amount_fen, oldest_at
        FROM reservation_group WHERE account_id = $1 AND reservation_id = $2 ORDER BY group_no
        """,
        large.account_id,
        large.reservation_id,
    )
    return [Group(**row) for row in rows]


async def add_step(db: Connection, promise: Promise, step: AllocationStep, now: datetime) -> None:
    """One step in one statement. The sums have counted its items as reserved from the beginning."""
    large = promise.reservation
    await db.execute(
        f"""
        WITH allocated AS (
            SELECT * FROM unnest($8::bigint[], $9::int[], $10::bigint[]) AS t (item_id, group_no, fen)
        ), changed AS (
            UPDATE item i SET invoiceable_fen = i.invoiceable_fen - t.fen, reserved_fen = i.reserved_fen + t.fen
            FROM allocated t WHERE i.account_id = $3 AND i.item_id = t.item_id
        ), moved AS (
            INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
            SELECT $3, item_id, 'invoiceable', 'reserved', fen, $11, $12 FROM allocated
        ), held AS (
            INSERT INTO allocation (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
            SELECT $1, $2, $3, item_id, group_no, nextval('reservation_place'), fen FROM allocated
        ), went_on AS (
            UPDATE promise SET promised_fen = $13, after_at = $14, after_id = $15, short = $16
            WHERE {sums.is_given(3)} AND reservation_id = $2 AND $13 > 0
        ), ended AS (
            DELETE FROM promise WHERE {sums.is_given(3)} AND reservation_id = $2 AND $13 = 0
        )
        INSERT INTO reservation_group AS g (account_id, reservation_id, owner_id, subject, cycle, content, group_no, tax_percent, spec,
            count, amount_fen, oldest_at)
        SELECT $1, $2, $3, $4, $5, $6, n.*
        FROM unnest($17::int[], $18::int[], $19::text[], $20::bigint[], $21::bigint[], $22::timestamptz[]) AS n ORDER BY 7
        ON CONFLICT (account_id, reservation_id, group_no) DO UPDATE SET count = g.count + excluded.count,
            amount_fen = g.amount_fen + excluded.amount_fen, oldest_at = least(g.oldest_at, excluded.oldest_at)
        """,
        large.account_id,
        large.reservation_id,
        *promise.key,
        *(zip(*step.allocations, strict=True) if step.allocations else ([], [], [])),
        large.cause,
        now,
        step.promised_fen,
        step.after_at,
        step.after_id,
        step.short,
        [one.group_no for one in step.groups],
        [one.tax_percent for one in step.groups],
        [one.spec for one in step.groups],
        [one.count for one in step.groups],
        [one.amount_fen for one in step.groups],
        [one.oldest_at for one in step.groups],
    )


# the answer


async def give_back(db: Connection, large: LargeReservation) -> int:
    """What could not be allocated any more is free again in the sums; how much it was."""
    await db.execute(
        f"""
        SELECT FROM balance_sum s WHERE ({sums.KEY}) IN (SELECT {sums.KEY} FROM promise WHERE reservation_id = $1)
        ORDER BY {sums.KEY} FOR UPDATE
        """,
        large.reservation_id,
    )
    missing_fen: int = await db.fetchval(
        f"""
        WITH gone AS (
            DELETE FROM promise WHERE reservation_id = $1 RETURNING {sums.KEY}, promised_fen AS fen
        ), moved AS (
            UPDATE balance_sum s SET positive_fen = s.positive_fen + g.fen, reserved_fen = s.reserved_fen - g.fen
            FROM gone g WHERE {sums.same("s", "g")} RETURNING s.account_id
        ), noted AS ({sums.NOTE_CHANGE.format(source="moved")})
        SELECT coalesce(sum(fen), 0)::bigint FROM gone
        """,
        large.reservation_id,
    )
    return missing_fen


async def end(
    db: Connection,
    large: LargeReservation,
    answer: BalanceReserved | ReservationRefused,
    reservation_id: int | None,
    now: datetime,
) -> None:
    """It is answered. A refused request keeps its id only if something was allocated and goes back."""
    await db.execute(
        """
        WITH counted AS (DELETE FROM reservation_group WHERE account_id = $1 AND reservation_id = $3)
        UPDATE reservation SET reservation_id = $4, answer_type = $5, answer = $6, at = $7 WHERE account_id = $1 AND request_id = $2
        """,
        large.account_id,
        large.request_id,
        large.reservation_id,
        reservation_id,
        type(answer).__name__,
        answer.model_dump_json(),
        now,
    )
