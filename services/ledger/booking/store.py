"""What is booked on large reservations: an order waits in a row, and its items follow in bounded steps, one order after the other."""

import json
from datetime import datetime

from asyncpg import Connection

from services.ledger.booking.rules import Chunk, Held, Holding, Order, Waiting, all_held
from services.ledger.journal import limits
from services.ledger.reservations.store import HELD, credited_cause, lock_items, paid_of

ORDER = """account_id, reservation_id, booking_id, wanted, cause, shares, answers, request_id, part_id, subject, pass_no, moved_fen,
    after_place, traceparent"""
KEY_IS = "account_id = $1 AND reservation_id = $2 AND booking_id = $3"


async def queue_if_large(db: Connection, order: Order | None) -> Order | None:
    """What is left to do at once. An order over more than the reservation took is refused here: later nobody could park it."""
    if order is None or not await _is_large(db, order):
        return order
    await queue(db, order)
    if order.shares is not None:
        all_held(order, await _reserved(db, order))
    return None


async def queue(db: Connection, order: Order | None) -> None:
    if order is None:
        return
    await db.execute(
        """
        INSERT INTO booking (account_id, reservation_id, wanted, cause, shares, answers, request_id, part_id, subject)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        order.account_id,
        order.reservation_id,
        order.wanted,
        order.cause,
        _json(order.shares),
        order.answers,
        order.request_id,
        order.part_id,
        order.subject,
    )


async def _is_large(db: Connection, order: Order) -> bool:
    large: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM reservation_item WHERE account_id = $1 AND reservation_id = $2 AND place >= $3)",
        order.account_id,
        order.reservation_id,
        limits.ITEMS_MAX,
    )
    return large


async def _reserved(db: Connection, order: Order) -> dict[int, int]:
    """What the reservation took, by group, as its answer said."""
    answer = await db.fetchval(
        "SELECT answer FROM reservation WHERE account_id = $1 AND request_id = $2", order.account_id, order.request_id
    )
    return {} if answer is None else {group["group_no"]: group["amount_fen"] for group in json.loads(answer)["groups"]}


async def next_order(db: Connection, at: datetime, _: datetime) -> Waiting | None:
    """The oldest whose reservation nobody is booking on, locked."""
    row = await db.fetchrow(
        f"""
        SELECT {ORDER} FROM booking b WHERE again_at <= $1 AND NOT EXISTS (
            SELECT FROM booking e WHERE e.account_id = b.account_id AND e.reservation_id = b.reservation_id
                AND e.booking_id < b.booking_id)
        ORDER BY again_at, booking_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        at,
    )
    return None if row is None else _waiting(dict(row))


async def set_aside(waiting: Waiting, db: Connection, until: datetime) -> None:
    """Later orders on the same reservation wait behind it."""
    await db.execute(f"UPDATE booking SET again_at = $4 WHERE {KEY_IS}", *_key(waiting), until)


def _waiting(row: dict[str, object]) -> Waiting:
    shares = row["shares"]
    rest = {name: row.pop(name) for name in ("booking_id", "pass_no", "moved_fen", "after_place", "traceparent")}
    kept = None if shares is None else {int(group): fen for group, fen in json.loads(str(shares)).items()}
    return Waiting(Order(**{**row, "shares": kept}), **rest)  # type: ignore[arg-type]


async def chunk(db: Connection, waiting: Waiting) -> Chunk:
    """The next items of the order's groups, locked; with the last ones, if deficits were paid, what the others of the reservation have."""
    order = waiting.order
    rows = await db.fetch(
        f"""
        SELECT {HELD.format(part="$6::text")} FROM reservation_item r
        WHERE account_id = $1 AND reservation_id = $2 AND place > $3 AND ($4::int[] IS NULL OR group_no = ANY ($4))
        ORDER BY place LIMIT $5 FOR UPDATE
        """,
        order.account_id,
        order.reservation_id,
        waiting.after_place,
        None if order.shares is None else list(order.shares),
        limits.STEP_ITEMS,
        credited_cause(order),
    )
    items = [Held(**row) for row in rows]
    await lock_items(db, items, [])
    if len(items) == limits.STEP_ITEMS:
        return Chunk(Holding(items), last=False)
    paid = await paid_of(db, order)
    if not paid:
        return Chunk(Holding(items), last=True)
    await lock_items(db, [], paid)
    others = await db.fetchrow(
        """
        SELECT coalesce(sum(reserved_fen - invoiced_fen - released_fen), 0)::bigint AS left_fen,
            coalesce(sum(invoiced_fen), 0)::bigint AS invoiced_fen
        FROM reservation_item WHERE account_id = $1 AND reservation_id = $2 AND place <> ALL ($3)
        """,
        order.account_id,
        order.reservation_id,
        [item.place for item in items],
    )
    assert others is not None
    return Chunk(Holding(items, paid, others["left_fen"], others["invoiced_fen"]), last=True)


async def proceed(db: Connection, waiting: Waiting, after: Waiting | None) -> None:
    """How far it came, or that it is done."""
    if after is None:
        await db.execute(f"DELETE FROM booking WHERE {KEY_IS}", *_key(waiting))
        return
    await db.execute(
        f"UPDATE booking SET after_place = $4, moved_fen = $5, shares = $6, pass_no = $7 WHERE {KEY_IS}",
        *_key(waiting),
        after.after_place,
        after.moved_fen,
        _json(after.order.shares),
        after.pass_no,
    )


def _key(waiting: Waiting) -> tuple[int, int, int]:
    return waiting.order.account_id, waiting.order.reservation_id, waiting.booking_id


def _json(shares: dict[int, int] | None) -> str | None:
    return None if shares is None else json.dumps(shares)
