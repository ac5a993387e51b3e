"""Large reservations: the sums held at once, the items in bounded steps, each a transaction of its own.

What is due is locked as it is found, and is as it is now: PostgreSQL looks again at a row that changed before it had the lock. What it
looked up in other rows may be older; it errs to one side only, for once the sums are held a reservation's remainders only become fewer.
"""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.ledger.journal import limits
from services.ledger.journal.store import NOTE_CHANGE
from services.ledger.large_reservations.promises import KEY
from services.ledger.large_reservations.rules import Allocation, Picked, Remainder, Step, strange
from services.ledger.netting.rules import SumKey
from services.ledger.reservations.rules import Decision
from shared.contracts.ledger import Group, ReserveBalance

KEY_IS = "account_id = $1 AND subject = $2 AND cycle = $3 AND content = $4 AND opens_at = $5"
JOB = "account_id, request_id, reservation_id, ask, traceparent"
NUMBERING = 2
"""The class of the advisory locks under which groups get their numbers."""
SHORT = "EXISTS (SELECT FROM remainder r WHERE r.reservation_id = a.reservation_id AND r.short)"
TAKEN = f"""a.status = 'allocating'
    AND ({SHORT} OR NOT EXISTS (SELECT FROM remainder r WHERE r.reservation_id = a.reservation_id))"""
REMAINDER = f"{KEY}, remainder_fen, after_at, after_id"


async def queue(db: Connection, ask: ReserveBalance, decision: Decision, reservation_id: int, now: datetime) -> None:
    """For a worker, unless there is an answer."""
    if decision.answer is not None or not decision.new:
        return
    await db.execute(
        "INSERT INTO allocation (account_id, request_id, reservation_id, ask, arrived_at) VALUES ($1, $2, $3, $4, $5)",
        ask.account_id,
        ask.request_id,
        reservation_id,
        ask.model_dump_json(),
        now,
    )


async def next_wanted(db: Connection, at: datetime, _: datetime) -> Allocation | None:
    """The oldest whose sums nobody is holding yet."""
    return await _next(db, "a.status = 'wanted'", at)


async def next_taken(db: Connection, at: datetime, _: datetime) -> Allocation | None:
    """One of which nothing is left to take, or nothing can be taken any more."""
    return await _next(db, TAKEN, at)


async def _next(db: Connection, due: str, at: datetime) -> Allocation | None:
    row = await db.fetchrow(
        f"""
        SELECT {JOB} FROM allocation a WHERE {due} AND again_at <= $1
        ORDER BY again_at, arrived_at, account_id, request_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        at,
    )
    return None if row is None else Allocation(*row)


async def next_remainder(db: Connection, at: datetime, _: datetime) -> Remainder | None:
    """One that nobody is taking from, of the oldest reservation."""
    row = await db.fetchrow(
        f"""
        SELECT {", ".join(f"a.{name}" for name in JOB.split(", "))}, {", ".join(f"r.{name}" for name in REMAINDER.split(", "))}
        FROM remainder r JOIN allocation a ON a.reservation_id = r.reservation_id WHERE NOT {SHORT} AND NOT r.short AND r.again_at <= $1
        ORDER BY r.again_at, a.arrived_at, a.reservation_id, r.account_id, r.cycle, r.subject, r.content, r.opens_at
        LIMIT 1 FOR UPDATE OF r SKIP LOCKED
        """,
        at,
    )
    if row is None:
        return None
    *job, account_id, subject, cycle, content, opens_at, fen, after_at, after_id = tuple(row)
    key = SumKey(account_id, subject, cycle, content, opens_at)
    return Remainder(Allocation(*job), key, fen, after_at, after_id)


async def set_aside(job: Allocation, db: Connection, until: datetime) -> None:
    await db.execute(
        "UPDATE allocation SET again_at = $3 WHERE account_id = $1 AND request_id = $2",
        job.account_id,
        job.request_id,
        until,
    )


async def set_remainder_aside(remainder: Remainder, db: Connection, until: datetime) -> None:
    await db.execute(
        f"UPDATE remainder SET again_at = $7 WHERE {KEY_IS} AND reservation_id = $6",
        *remainder.key.columns,
        remainder.job.reservation_id,
        until,
    )


async def pick(db: Connection, remainder: Remainder) -> list[Picked]:
    """Its next open items, oldest first, locked. What was waited for may have been taken by others: then it looks again."""
    where = f"""
        FROM item WHERE {KEY_IS} AND invoiceable_fen <> 0 AND invoiceable_fen > 0
            AND (occurred_at, item_id) > ($6, $7) AND ($8 = '{{}}'::text[] OR product_code = ANY ($8))
    """
    sought = (*remainder.key.columns, remainder.after_at, remainder.after_id, list(remainder.job.ask.products))
    rows: list[Record] = []
    there_are = True
    while there_are and not rows:
        rows = await db.fetch(
            f"SELECT item_id, occurred_at, invoiceable_fen AS free_fen, tax_percent, spec {where} ORDER BY occurred_at, item_id LIMIT $9"
            " FOR UPDATE",
            *sought,
            limits.STEP_ITEMS,
        )
        there_are = bool(rows) or await db.fetchval(f"SELECT EXISTS (SELECT {where})", *sought)
    return [Picked(item_id, at, fen, (tax_percent, spec)) for item_id, at, fen, tax_percent, spec in rows]


async def groups_of(db: Connection, remainder: Remainder, picked: Sequence[Picked]) -> list[Group]:
    """All groups of the reservation. When one is to be added, nobody else adds one meanwhile."""
    known = await groups(db, remainder.job)
    if not strange(remainder, picked, known):
        return known
    await db.execute("SELECT pg_advisory_xact_lock($1, hashint8($2))", NUMBERING, remainder.job.reservation_id)
    return await groups(db, remainder.job)


async def groups(db: Connection, job: Allocation) -> list[Group]:
    rows = await db.fetch(
        """
        SELECT group_no, owner_id AS account_id, subject, content, tax_percent, cycle, spec, count, amount_fen, oldest_at
        FROM reservation_group WHERE account_id = $1 AND reservation_id = $2 ORDER BY group_no
        """,
        job.account_id,
        job.reservation_id,
    )
    return [Group(**row) for row in rows]


async def record(db: Connection, remainder: Remainder, step: Step, now: datetime) -> None:
    """One step in one statement. The sums have counted its items as reserved from the beginning."""
    job = remainder.job
    await db.execute(
        """
        WITH taken AS (
            SELECT * FROM unnest($4::bigint[], $5::int[], $6::bigint[]) AS t (item_id, group_no, fen)
        ), changed AS (
            UPDATE item i SET invoiceable_fen = i.invoiceable_fen - t.fen, reserved_fen = i.reserved_fen + t.fen
            FROM taken t WHERE i.account_id = $3 AND i.item_id = t.item_id
        ), moved AS (
            INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
            SELECT $3, item_id, 'invoiceable', 'reserved', fen, $7, $8 FROM taken
        ), held AS (
            INSERT INTO reservation_item (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
            SELECT $1, $2, $3, item_id, group_no, nextval('reservation_place'), fen FROM taken
        ), went_on AS (
            UPDATE remainder SET remainder_fen = $13, after_at = $14, after_id = $15, short = $16
            WHERE account_id = $3 AND subject = $9 AND cycle = $10 AND content = $11 AND opens_at = $12 AND reservation_id = $2 AND $13 > 0
        ), ended AS (
            DELETE FROM remainder
            WHERE account_id = $3 AND subject = $9 AND cycle = $10 AND content = $11 AND opens_at = $12 AND reservation_id = $2 AND $13 = 0
        )
        INSERT INTO reservation_group AS g (account_id, reservation_id, owner_id, subject, content, cycle, group_no, tax_percent, spec,
            count, amount_fen, oldest_at)
        SELECT $1, $2, $3, $9, $11, $10, n.*
        FROM unnest($17::int[], $18::int[], $19::text[], $20::bigint[], $21::bigint[], $22::timestamptz[]) AS n ORDER BY 7
        ON CONFLICT (account_id, reservation_id, group_no) DO UPDATE SET count = g.count + excluded.count,
            amount_fen = g.amount_fen + excluded.amount_fen, oldest_at = least(g.oldest_at, excluded.oldest_at)
        """,
        job.account_id,
        job.reservation_id,
        step.key.account_id,
        *(zip(*step.shares, strict=True) if step.shares else ([], [], [])),
        f"request {job.request_id}",
        now,
        *step.key.columns[1:],
        step.remainder_fen,
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


async def give_back(db: Connection, job: Allocation) -> int:
    """What could not be taken from items any more is free again in the sums; how much it was."""
    await db.execute(
        f"""
        SELECT FROM balance_sum s WHERE ({KEY}) IN (SELECT {KEY} FROM remainder WHERE reservation_id = $1)
        ORDER BY {KEY} FOR UPDATE
        """,
        job.reservation_id,
    )
    missing: int = await db.fetchval(
        f"""
        WITH gone AS (
            DELETE FROM remainder WHERE reservation_id = $1 RETURNING {KEY}, remainder_fen AS fen
        ), moved AS (
            UPDATE balance_sum s SET positive_fen = s.positive_fen + g.fen, reserved_fen = s.reserved_fen - g.fen
            FROM gone g WHERE s.account_id = g.account_id AND s.subject = g.subject AND s.cycle = g.cycle
                AND s.content = g.content AND s.opens_at = g.opens_at RETURNING s.account_id
        ), noted AS ({NOTE_CHANGE.format(source="moved")})
        SELECT coalesce(sum(fen), 0)::bigint FROM gone
        """,
        job.reservation_id,
    )
    return missing


async def end(db: Connection, job: Allocation) -> None:
    await db.execute("DELETE FROM allocation WHERE account_id = $1 AND request_id = $2", job.account_id, job.request_id)
    await db.execute(
        "DELETE FROM reservation_group WHERE account_id = $1 AND reservation_id = $2",
        job.account_id,
        job.reservation_id,
    )
