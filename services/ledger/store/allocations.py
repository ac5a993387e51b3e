"""Large reservations: the sums held at once, the items in bounded steps, each a transaction of its own."""

from datetime import datetime

from asyncpg import Connection

from services.ledger.domain import limits
from services.ledger.domain.allocating import Allocation, Hold, Picked, Remainder, Step
from services.ledger.domain.netting import SumKey
from services.ledger.domain.reserving import Decision
from services.ledger.store.items import NOTE_CHANGE
from shared.contracts.ledger import Group, ReserveBalance

KEY = "account_id, subject, cycle, content, opens_at"
JOB = "account_id, request_id, reservation_id, ask, status, next_place, traceparent"


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


async def next_job(db: Connection, _: datetime, __: datetime) -> Allocation | None:
    """One that nobody is working on."""
    row = await db.fetchrow(
        f"SELECT {JOB} FROM allocation ORDER BY arrived_at, account_id, request_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    return None if row is None else Allocation(**dict(row) | {"ask": ReserveBalance.model_validate_json(row["ask"])})


async def locked(db: Connection, job: Allocation) -> list[Allocation]:
    """The job as it is now; none when another worker has it or it has ended."""
    rows = await db.fetch(
        f"SELECT {JOB} FROM allocation WHERE account_id = $1 AND request_id = $2 FOR UPDATE SKIP LOCKED",
        job.account_id,
        job.request_id,
    )
    return [Allocation(**dict(row) | {"ask": ReserveBalance.model_validate_json(row["ask"])}) for row in rows]


async def free_sums(db: Connection, ask: ReserveBalance, now: datetime) -> list[tuple[SumKey, int]]:
    """What is free of the selected sums, month by month; locked in key order. Of some products only what their items have."""
    rows = await db.fetch(
        f"""
        WITH of_products AS (
            SELECT {KEY}, sum(invoiceable_fen)::bigint AS fen FROM item
            WHERE $5 <> '{{}}'::text[] AND product_code = ANY ($5) AND account_id = ANY ($1) AND invoiceable_fen > 0
            GROUP BY {KEY}
        )
        SELECT {KEY}, CASE WHEN $5 = '{{}}'::text[] THEN positive_fen ELSE least(positive_fen, coalesce(p.fen, 0)) END AS positive_fen
        FROM balance_sum LEFT JOIN of_products p USING ({KEY})
        WHERE account_id = ANY ($1) AND opens_at <= $2 AND ($3::text IS NULL OR subject = $3)
            AND ($4 = '{{}}'::text[] OR cycle = ANY ($4))
        ORDER BY {KEY} FOR UPDATE OF balance_sum
        """,
        list(ask.accounts),
        now,
        ask.subject,
        list(ask.cycles),
        list(ask.products),
    )
    found = [(SumKey(*tuple(row)[:5]), row["positive_fen"]) for row in rows if row["positive_fen"] > 0]
    return sorted(found, key=lambda one: (one[0].account_id, one[0].cycle, one[0].subject, one[0].content))


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
        "allocating" if held.promises else "done",
    )


async def next_remainder(db: Connection, job: Allocation) -> Remainder:
    row = await db.fetchrow(
        f"SELECT {KEY}, remainder_fen, after_at, after_id FROM remainder WHERE reservation_id = $1 ORDER BY account_id, cycle, subject,"
        " content, opens_at LIMIT 1 FOR UPDATE",
        job.reservation_id,
    )
    assert row is not None, "the status says that something is left"
    return Remainder(SumKey(*tuple(row)[:5]), row["remainder_fen"], row["after_at"], row["after_id"])


async def pick(db: Connection, job: Allocation, remainder: Remainder) -> list[Picked]:
    """Its next open items, oldest first, locked."""
    rows = await db.fetch(
        """
        SELECT item_id, occurred_at, spec, tax_percent, invoiceable_fen AS free_fen FROM item
        WHERE account_id = $1 AND subject = $2 AND cycle = $3 AND content = $4 AND opens_at = $5 AND invoiceable_fen <> 0
            AND invoiceable_fen > 0 AND (occurred_at, item_id) > ($6, $7) AND ($8 = '{}'::text[] OR product_code = ANY ($8))
        ORDER BY occurred_at, item_id LIMIT $9 FOR UPDATE
        """,
        *remainder.key.columns,
        remainder.after_at,
        remainder.after_id,
        list(job.ask.products),
        limits.STEP_ITEMS,
    )
    return [Picked(**row) for row in rows]


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


async def record(db: Connection, job: Allocation, step: Step, now: datetime) -> None:
    """Items, moves and shares of one step. The sums have counted them as reserved from the beginning."""
    await db.execute(
        """
        WITH taken AS (
            SELECT * FROM unnest($4::bigint[], $5::int[], $6::int[], $7::bigint[]) AS t (item_id, group_no, place, fen)
        ), changed AS (
            UPDATE item i SET invoiceable_fen = i.invoiceable_fen - t.fen, reserved_fen = i.reserved_fen + t.fen
            FROM taken t WHERE i.account_id = $3 AND i.item_id = t.item_id
        ), moved AS (
            INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
            SELECT $3, item_id, 'invoiceable', 'reserved', fen, $8, $9 FROM taken
        )
        INSERT INTO reservation_item (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
        SELECT $1, $2, $3, item_id, group_no, place, fen FROM taken
        """,
        job.account_id,
        job.reservation_id,
        step.key.account_id,
        [share.item_id for share in step.shares],
        [share.group_no for share in step.shares],
        [share.place for share in step.shares],
        [share.amount_fen for share in step.shares],
        f"request {job.request_id}",
        now,
    )
    await _count_groups(db, job, step)
    await db.execute(
        """
        UPDATE remainder SET remainder_fen = $7, after_at = $8, after_id = $9
        WHERE account_id = $1 AND subject = $2 AND cycle = $3 AND content = $4 AND opens_at = $5 AND reservation_id = $6 AND $7 > 0
        """,
        *step.key.columns,
        job.reservation_id,
        step.remainder_fen,
        step.after_at,
        step.after_id,
    )
    await db.execute(
        """
        DELETE FROM remainder
        WHERE account_id = $1 AND subject = $2 AND cycle = $3 AND content = $4 AND opens_at = $5 AND reservation_id = $6 AND $7 = 0
        """,
        *step.key.columns,
        job.reservation_id,
        step.remainder_fen,
    )
    await db.execute(
        """
        UPDATE allocation SET next_place = next_place + $3, status = CASE WHEN $4 THEN 'short'
            WHEN EXISTS (SELECT FROM remainder WHERE reservation_id = $5) THEN 'allocating' ELSE 'done' END
        WHERE account_id = $1 AND request_id = $2
        """,
        job.account_id,
        job.request_id,
        len(step.shares),
        step.short,
        job.reservation_id,
    )


async def _count_groups(db: Connection, job: Allocation, step: Step) -> None:
    await db.executemany(
        """
        INSERT INTO reservation_group AS g (account_id, reservation_id, group_no, owner_id, subject, content, tax_percent, cycle, spec,
            count, amount_fen, oldest_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (account_id, reservation_id, group_no) DO UPDATE SET count = g.count + excluded.count,
            amount_fen = g.amount_fen + excluded.amount_fen, oldest_at = least(g.oldest_at, excluded.oldest_at)
        """,
        [
            (
                job.account_id,
                job.reservation_id,
                one.group_no,
                one.account_id,
                one.subject,
                one.content,
                one.tax_percent,
                one.cycle,
                one.spec,
                one.count,
                one.amount_fen,
                one.oldest_at,
            )
            for one in step.groups
        ],
    )


async def give_back(db: Connection, job: Allocation) -> int:
    """What could not be taken from items any more is free again in the sums; how much it was."""
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
