"""What was booked of each part, what a reservation holds, and the tasks that wait on large reservations.

A task waits in a row, and its allocations follow in bounded steps, one task of a reservation after the other.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.booking.rules import Allocation, Booking, BookingDone, Chunk, Holding, Paid, QueuedBooking
from services.ledger.booking.tasks import COUNTS, BookingTask
from services.ledger.journal import limits
from shared.contracts.invoicing import PartFact

REPLACES = ", ".join(f"('{before}', '{wanted}')" for before, wanted in COUNTS if before is not None)
"""What may come after what was booked of a part."""

HELD = """owner_id, item_id, group_no, place, reserved_fen, invoiced_fen, released_fen,
    CASE WHEN {part} IS NULL THEN 0 ELSE (
        SELECT coalesce(sum(m.amount_fen), 0)::bigint FROM move m WHERE m.account_id = a.owner_id AND m.item_id = a.item_id
            AND m.cause = {part} AND m.to_bucket = 'invoiced') END AS creditable_fen"""
"""What a reservation has of an item; what is creditable is what the moves say the part took of it."""

TASK = """account_id, reservation_id, task_id, wanted, cause, shares, answers, request_id, part_id, subject, pass_no, moved_fen,
    after_place, traceparent"""
IS_TASK = "account_id = $1 AND reservation_id = $2 AND task_id = $3"


async def note_part(db: Connection, fact: PartFact, wanted: str) -> str | None:
    """What was booked of the part before; from here on it is `wanted`, if that counts after what was.

    Inserting first makes two facts of one part wait for each other.
    """
    fresh = await db.fetchval(
        "INSERT INTO part_booking (account_id, part_id, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true",
        fact.account_id,
        fact.part_id,
        wanted,
    )
    if fresh:
        return None
    before: str = await db.fetchval(
        f"""
        UPDATE part_booking p SET state = CASE WHEN (p.state, $3) IN ({REPLACES}) THEN $3 ELSE p.state END
        FROM (SELECT account_id, part_id, state FROM part_booking WHERE account_id = $1 AND part_id = $2 FOR UPDATE) before
        WHERE p.account_id = before.account_id AND p.part_id = before.part_id RETURNING before.state
        """,
        fact.account_id,
        fact.part_id,
        wanted,
    )
    return before


async def holding(db: Connection, task: BookingTask) -> Holding:
    """What the reservation took and paid, in the order it did; the items are locked in the order in which everybody locks them."""
    rows = await db.fetch(
        f"""
        SELECT {HELD.format(part="$3::text")} FROM allocation a
        WHERE account_id = $1 AND reservation_id = $2 ORDER BY place FOR UPDATE
        """,
        task.account_id,
        task.reservation_id,
        task.credited_cause,
    )
    allocations, paid = [Allocation(**row) for row in rows], await _paid(db, task)
    await _lock_items(db, allocations, paid)
    return Holding(allocations, paid)


async def _paid(db: Connection, task: BookingTask) -> list[Paid]:
    rows = await db.fetch(
        """
        SELECT owner_id, from_item_id, to_owner_id, to_item_id, amount_fen FROM reservation_offset
        WHERE account_id = $1 AND reservation_id = $2 AND NOT undone ORDER BY place FOR UPDATE
        """,
        task.account_id,
        task.reservation_id,
    )
    return [Paid(**row) for row in rows]


async def _lock_items(db: Connection, allocations: Sequence[Allocation], paid: Sequence[Paid]) -> None:
    await db.execute(
        "SELECT FROM item WHERE account_id = ANY ($1) AND item_id = ANY ($2) ORDER BY account_id, occurred_at, item_id FOR UPDATE",
        sorted(
            {one.owner_id for one in allocations} | {owner for one in paid for owner in (one.owner_id, one.to_owner_id)}
        ),
        [one.item_id for one in allocations] + [item for one in paid for item in (one.from_item_id, one.to_item_id)],
    )


async def add(db: Connection, task: BookingTask, booking: Booking) -> None:
    await db.execute(
        """
        UPDATE allocation a SET invoiced_fen = a.invoiced_fen + b.invoiced, released_fen = a.released_fen + b.released,
            credited_fen = a.credited_fen + b.credited
        FROM (SELECT place, sum(invoiced)::bigint AS invoiced, sum(released)::bigint AS released, sum(credited)::bigint AS credited
            FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS t (place, invoiced, released, credited)
            GROUP BY place) AS b
        WHERE a.account_id = $1 AND a.reservation_id = $2 AND a.place = b.place
        """,
        task.account_id,
        task.reservation_id,
        [one.place for one in booking.changes],
        [one.invoiced_fen for one in booking.changes],
        [one.released_fen for one in booking.changes],
        [one.credited_fen for one in booking.changes],
    )
    await db.execute(
        "UPDATE reservation_offset SET undone = true WHERE $3 AND account_id = $1 AND reservation_id = $2",
        task.account_id,
        task.reservation_id,
        booking.undone,
    )


async def queue(db: Connection, task: BookingTask) -> None:
    await db.execute(
        """
        INSERT INTO booking_task (account_id, reservation_id, wanted, cause, shares, answers, request_id, part_id, subject)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        task.account_id,
        task.reservation_id,
        task.wanted,
        task.cause,
        _json(task.shares),
        task.answers,
        task.request_id,
        task.part_id,
        task.subject,
    )


async def next_task(db: Connection, at: datetime, _: datetime) -> QueuedBooking | None:
    """The oldest whose reservation nobody is booking on, locked."""
    row = await db.fetchrow(
        f"""
        SELECT {TASK} FROM booking_task t WHERE again_at <= $1 AND NOT EXISTS (
            SELECT FROM booking_task e WHERE e.account_id = t.account_id AND e.reservation_id = t.reservation_id AND e.task_id < t.task_id)
        ORDER BY again_at, task_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        at,
    )
    return None if row is None else _queued(dict(row))


def _queued(row: dict[str, object]) -> QueuedBooking:
    shares = row["shares"]
    progress = {name: row.pop(name) for name in ("task_id", "pass_no", "moved_fen", "after_place", "traceparent")}
    left = None if shares is None else {int(group): fen for group, fen in json.loads(str(shares)).items()}
    return QueuedBooking(BookingTask(**{**row, "shares": left}), **progress)  # type: ignore[arg-type]


async def set_aside(queued: QueuedBooking, db: Connection, until: datetime) -> None:
    """Later tasks on the same reservation wait behind it."""
    await db.execute(f"UPDATE booking_task SET again_at = $4 WHERE {IS_TASK}", *_key(queued), until)


async def chunk(db: Connection, queued: QueuedBooking) -> Chunk:
    """The next allocations of the task's groups, locked; with the last, if deficits were paid, what the reservation has beside them."""
    task = queued.task
    rows = await db.fetch(
        f"""
        SELECT {HELD.format(part="$6::text")} FROM allocation a
        WHERE account_id = $1 AND reservation_id = $2 AND place > $3 AND ($4::int[] IS NULL OR group_no = ANY ($4))
        ORDER BY place LIMIT $5 FOR UPDATE
        """,
        task.account_id,
        task.reservation_id,
        queued.after_place,
        None if task.shares is None else list(task.shares),
        limits.STEP_ITEMS,
        task.credited_cause,
    )
    allocations = [Allocation(**row) for row in rows]
    await _lock_items(db, allocations, [])
    if len(allocations) == limits.STEP_ITEMS:
        return Chunk(Holding(allocations), last=False)
    paid = await _paid(db, task)
    if not paid:
        return Chunk(Holding(allocations), last=True)
    await _lock_items(db, [], paid)
    others = await db.fetchrow(
        """
        SELECT coalesce(sum(reserved_fen - invoiced_fen - released_fen), 0)::bigint AS left_fen,
            coalesce(sum(invoiced_fen), 0)::bigint AS invoiced_fen
        FROM allocation WHERE account_id = $1 AND reservation_id = $2 AND place <> ALL ($3)
        """,
        task.account_id,
        task.reservation_id,
        [one.place for one in allocations],
    )
    assert others is not None
    return Chunk(Holding(allocations, paid, others["left_fen"], others["invoiced_fen"]), last=True)


async def go_on(db: Connection, after: QueuedBooking) -> None:
    await db.execute(
        f"UPDATE booking_task SET after_place = $4, moved_fen = $5, shares = $6, pass_no = $7 WHERE {IS_TASK}",
        *_key(after),
        after.after_place,
        after.moved_fen,
        _json(after.task.shares),
        after.pass_no,
    )


async def end(db: Connection, done: BookingDone) -> None:
    await db.execute(f"DELETE FROM booking_task WHERE {IS_TASK}", *_key(done.queued))


def _key(queued: QueuedBooking) -> tuple[int, int, int]:
    return queued.task.account_id, queued.task.reservation_id, queued.task_id


def _json(shares: dict[int, int] | None) -> str | None:
    return None if shares is None else json.dumps(shares)
