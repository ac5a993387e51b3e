"""Reservations: the one answer to each request, what was taken of which item, and what became of each part."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.booking.rules import CAUSES, Booking, Held, Holding, Order, Paid
from services.ledger.journal.rules import DueRefund
from services.ledger.netting.rules import Offset
from services.ledger.reservations.rules import Answer, Ask, Decision, Taken
from shared.contracts.invoicing import PartFact
from shared.contracts.ledger import BalanceReserved, OffsetPair, ReservationImpaired, ReservationRefused

ANSWERS: dict[str, type[BalanceReserved] | type[ReservationRefused]] = {
    answer.__name__: answer for answer in (BalanceReserved, ReservationRefused)
}

HELD = """owner_id, item_id, group_no, place, reserved_fen, invoiced_fen, released_fen,
    CASE WHEN {part} IS NULL THEN 0 ELSE (
        SELECT coalesce(sum(m.amount_fen), 0)::bigint FROM move m WHERE m.account_id = r.owner_id AND m.item_id = r.item_id
            AND m.cause = {part} AND m.to_bucket = 'invoiced') END AS creditable_fen"""
"""What a reservation has of an item; what is creditable is what the moves say the part took of it."""


def credited_cause(order: Order) -> str | None:
    """Under which cause the invoice that is to be credited took its items."""
    return CAUSES["issued"].format(order.part_id) if order.wanted == "credited" else None


RESERVING = 1
"""The class of the advisory locks that small reservations share, and that a large one has alone while it takes its sums. They come before
any row: what is read in the statements after this one is as it is then.
"""


async def begin(db: Connection, ask: Ask) -> tuple[Decision | None, int]:
    """What was decided for this request before, whoever asks again; a large one may still be in work. And an id, should it be new.

    From here to the end of the transaction no large reservation of these accounts takes its sums.
    """
    row = await db.fetchrow(
        """
        SELECT r.answer_type, r.answer, r.request_id IS NOT NULL OR a.request_id IS NOT NULL AS known, nextval('reservation_id') AS id
        FROM (SELECT count(pg_advisory_xact_lock_shared($4, hashint8(account_id))) FROM unnest($3::bigint[]) AS l (account_id)) locked,
            (SELECT $1::bigint AS account_id, $2::bigint AS request_id) me
            LEFT JOIN reservation r USING (account_id, request_id) LEFT JOIN allocation a USING (account_id, request_id)
        """,
        ask.account_id,
        ask.request_id,
        sorted(ask.accounts),
        RESERVING,
    )
    assert row is not None
    answer = None if row["answer"] is None else ANSWERS[row["answer_type"]].model_validate_json(row["answer"])
    return Decision(answer, new=False) if row["known"] else None, row["id"]


async def add(db: Connection, decision: Decision, now: datetime) -> None:
    """The answer and what was taken; a repeated answer is written nowhere."""
    answer = decision.answer
    if not decision.new or answer is None:
        return
    reservation_id = answer.reservation_id if isinstance(answer, BalanceReserved) else None
    await add_answer(db, answer, reservation_id, now, decision.taken)
    await add_offsets(db, answer.account_id, reservation_id, decision.offsets)


async def add_answer(
    db: Connection, answer: Answer, reservation_id: int | None, now: datetime, taken: Sequence[Taken] = ()
) -> None:
    """A refused request has an id only if something was taken for it and goes back."""
    await db.execute(
        """
        WITH answered AS (
            INSERT INTO reservation (account_id, request_id, reservation_id, answer_type, answer, at) VALUES ($1, $2, $3, $4, $5, $6)
        )
        INSERT INTO reservation_item (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
        SELECT $1, $3, t.* FROM unnest($7::bigint[], $8::bigint[], $9::int[], $10::int[], $11::bigint[]) AS t
        """,
        answer.account_id,
        answer.request_id,
        reservation_id,
        type(answer).__name__,
        answer.model_dump_json(),
        now,
        [one.item.account_id for one in taken],
        [one.item.item_id for one in taken],
        [one.group_no for one in taken],
        list(range(len(taken))),
        [one.amount_fen for one in taken],
    )


async def add_offsets(db: Connection, account_id: int, reservation_id: int | None, offsets: Sequence[Offset]) -> None:
    if not offsets:
        return
    await db.execute(
        """
        INSERT INTO reservation_offset (account_id, reservation_id, place, owner_id, from_item_id, to_owner_id, to_item_id, to_number,
            amount_fen)
        SELECT $1, $2, t.* FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[]) AS t
        """,
        account_id,
        reservation_id,
        list(range(len(offsets))),
        [one.from_item.account_id for one in offsets],
        [one.from_item.item_id for one in offsets],
        [one.to_item.account_id for one in offsets],
        [one.to_item.item_id for one in offsets],
        [one.to_item.number for one in offsets],
        [one.amount_fen for one in offsets],
    )


async def offset_pairs(db: Connection, account_id: int, reservation_id: int) -> list[OffsetPair]:
    rows = await db.fetch(
        """
        SELECT o.owner_id AS account_id, nullif(o.to_owner_id, o.owner_id) AS to_account_id, i.subject, i.number AS from_number,
            o.to_number, o.amount_fen
        FROM reservation_offset o JOIN item i ON i.account_id = o.owner_id AND i.item_id = o.from_item_id
        WHERE o.account_id = $1 AND o.reservation_id = $2 ORDER BY o.place
        """,
        account_id,
        reservation_id,
    )
    return [OffsetPair(**row) for row in rows]


async def id_of(db: Connection, account_id: int, request_id: int) -> int | None:
    reservation_id: int | None = await db.fetchval(
        "SELECT reservation_id FROM reservation WHERE account_id = $1 AND request_id = $2", account_id, request_id
    )
    return reservation_id


async def held(db: Connection, order: Order | None) -> Holding:
    """What the reservation took and paid, in the order it did; the items are locked in the order in which everybody locks them."""
    if order is None:
        return Holding()
    rows = await db.fetch(
        f"""
        SELECT {HELD.format(part="$3::text")} FROM reservation_item r
        WHERE account_id = $1 AND reservation_id = $2 ORDER BY place FOR UPDATE
        """,
        order.account_id,
        order.reservation_id,
        credited_cause(order),
    )
    items, paid = [Held(**row) for row in rows], await paid_of(db, order)
    await lock_items(db, items, paid)
    return Holding(items, paid)


async def paid_of(db: Connection, order: Order) -> list[Paid]:
    rows = await db.fetch(
        """
        SELECT owner_id, from_item_id, to_owner_id, to_item_id, amount_fen FROM reservation_offset
        WHERE account_id = $1 AND reservation_id = $2 AND NOT undone ORDER BY place FOR UPDATE
        """,
        order.account_id,
        order.reservation_id,
    )
    return [Paid(**row) for row in rows]


async def lock_items(db: Connection, items: Sequence[Held], paid: Sequence[Paid]) -> None:
    await db.execute(
        "SELECT FROM item WHERE account_id = ANY ($1) AND item_id = ANY ($2) ORDER BY account_id, occurred_at, item_id FOR UPDATE",
        sorted({one.owner_id for one in items} | {owner for one in paid for owner in (one.owner_id, one.to_owner_id)}),
        [one.item_id for one in items] + [item for one in paid for item in (one.from_item_id, one.to_item_id)],
    )


async def hit(db: Connection, refunds: Sequence[DueRefund]) -> list[ReservationImpaired]:
    """Reservations that still hold something of the refunded items, also those that are still being allocated."""
    if not refunds:
        return []
    rows = await db.fetch(
        """
        SELECT DISTINCT ON (r.account_id, r.request_id) r.account_id, r.request_id, r.reservation_id, f.number AS refund_number
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS f (owner_id, item_id, number)
            JOIN reservation_item i ON i.owner_id = f.owner_id AND i.item_id = f.item_id
            JOIN (SELECT account_id, request_id, reservation_id FROM reservation UNION ALL
                SELECT account_id, request_id, reservation_id FROM allocation) AS r
                ON r.account_id = i.account_id AND r.reservation_id = i.reservation_id
        WHERE i.reserved_fen > i.invoiced_fen + i.released_fen ORDER BY r.account_id, r.request_id, f.number
        """,
        [one.account_id for one in refunds],
        [one.item_id for one in refunds],
        [one.number for one in refunds],
    )
    return [ReservationImpaired(**row) for row in rows]


async def book(db: Connection, order: Order | None, made: Booking) -> None:
    if order is None:
        return
    await db.execute(
        """
        UPDATE reservation_item r SET invoiced_fen = r.invoiced_fen + b.invoiced, released_fen = r.released_fen + b.released,
            credited_fen = r.credited_fen + b.credited
        FROM (SELECT place, sum(invoiced)::bigint AS invoiced, sum(released)::bigint AS released, sum(credited)::bigint AS credited
            FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS t (place, invoiced, released, credited)
            GROUP BY place) AS b
        WHERE r.account_id = $1 AND r.reservation_id = $2 AND r.place = b.place
        """,
        order.account_id,
        order.reservation_id,
        [one.place for one in made.booked],
        [one.invoiced_fen for one in made.booked],
        [one.released_fen for one in made.booked],
        [one.credited_fen for one in made.booked],
    )
    await db.execute(
        "UPDATE reservation_offset SET undone = true WHERE $3 AND account_id = $1 AND reservation_id = $2",
        order.account_id,
        order.reservation_id,
        made.undone,
    )


async def booking_of(db: Connection, fact: PartFact, wanted: str) -> str | None:
    """What was booked of the part before; from here on it is `wanted`, if that counts after what was (`booking.COUNTS`).

    Inserting first makes two facts of one part wait for each other.
    """
    key = (fact.account_id, fact.part_id)
    fresh = await db.fetchval(
        "INSERT INTO part_booking (account_id, part_id, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true",
        *key,
        wanted,
    )
    if fresh:
        return None
    before: str = await db.fetchval(
        "SELECT state FROM part_booking WHERE account_id = $1 AND part_id = $2 FOR UPDATE", *key
    )
    await db.execute(
        """
        UPDATE part_booking SET state = $3
        WHERE account_id = $1 AND part_id = $2 AND (state, $3) IN (('released', 'issued'), ('issued', 'credited'))
        """,
        *key,
        wanted,
    )
    return before
