"""Reservations: the one answer to each request, what was taken of which item, and what became of each part."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.domain.booking import Booking, Held, Holding, Paid
from services.ledger.domain.moves import DueRefund
from services.ledger.domain.reserving import Answer, Ask, Decision
from shared.contracts.invoicing import PartFact
from shared.contracts.ledger import BalanceReserved, ReservationImpaired, ReservationRefused

ANSWERS: dict[str, type[BalanceReserved] | type[ReservationRefused]] = {
    answer.__name__: answer for answer in (BalanceReserved, ReservationRefused)
}


async def earlier_answer(db: Connection, ask: Ask) -> Answer | None:
    """The answer this request got before, whoever asks again."""
    row = await db.fetchrow(
        "SELECT answer_type, answer FROM reservation WHERE account_id = $1 AND request_id = $2",
        ask.account_id,
        ask.request_id,
    )
    return None if row is None else ANSWERS[row["answer_type"]].model_validate_json(row["answer"])


async def next_id(db: Connection) -> int:
    reservation_id: int = await db.fetchval("SELECT nextval('reservation_id')")
    return reservation_id


async def add(db: Connection, decision: Decision, now: datetime) -> None:
    """The answer and what was taken; a repeated answer is written nowhere."""
    answer = decision.answer
    if not decision.new:
        return
    reservation_id = answer.reservation_id if isinstance(answer, BalanceReserved) else None
    await db.execute(
        """
        INSERT INTO reservation (account_id, request_id, reservation_id, answer_type, answer, at) VALUES ($1, $2, $3, $4, $5, $6)
        """,
        answer.account_id,
        answer.request_id,
        reservation_id,
        type(answer).__name__,
        answer.model_dump_json(),
        now,
    )
    await db.execute(
        """
        INSERT INTO reservation_item (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
        SELECT $1, $2, t.* FROM unnest($3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::bigint[]) AS t
        """,
        answer.account_id,
        reservation_id,
        [one.item.account_id for one in decision.taken],
        [one.item.item_id for one in decision.taken],
        [one.group_no for one in decision.taken],
        list(range(len(decision.taken))),
        [one.amount_fen for one in decision.taken],
    )
    await db.execute(
        """
        INSERT INTO reservation_offset (account_id, reservation_id, place, owner_id, from_item_id, to_item_id, to_number, amount_fen)
        SELECT $1, $2, t.* FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[]) AS t
        """,
        answer.account_id,
        reservation_id,
        list(range(len(decision.offsets))),
        [one.from_item.account_id for one in decision.offsets],
        [one.from_item.item_id for one in decision.offsets],
        [one.to_item.item_id for one in decision.offsets],
        [one.to_item.number for one in decision.offsets],
        [one.amount_fen for one in decision.offsets],
    )


async def id_of(db: Connection, account_id: int, request_id: int) -> int | None:
    reservation_id: int | None = await db.fetchval(
        "SELECT reservation_id FROM reservation WHERE account_id = $1 AND request_id = $2", account_id, request_id
    )
    return reservation_id


async def held(db: Connection, account_id: int, reservation_id: int | None) -> Holding:
    """What the reservation took and paid, in the order it did; the items are locked in the order in which everybody locks them."""
    items = await db.fetch(
        """
        SELECT owner_id, item_id, group_no, reserved_fen, invoiced_fen, released_fen FROM reservation_item
        WHERE account_id = $1 AND reservation_id = $2 ORDER BY place FOR UPDATE
        """,
        account_id,
        reservation_id,
    )
    paid = await db.fetch(
        """
        SELECT owner_id, from_item_id, to_item_id, amount_fen FROM reservation_offset
        WHERE account_id = $1 AND reservation_id = $2 AND NOT undone ORDER BY place FOR UPDATE
        """,
        account_id,
        reservation_id,
    )
    await db.execute(
        "SELECT FROM item WHERE account_id = ANY ($1) AND item_id = ANY ($2) ORDER BY account_id, occurred_at, item_id FOR UPDATE",
        sorted({row["owner_id"] for row in (*items, *paid)}),
        [row["item_id"] for row in items] + [row[name] for row in paid for name in ("from_item_id", "to_item_id")],
    )
    return Holding([Held(**row) for row in items], [Paid(**row) for row in paid])


async def hit(db: Connection, refunds: Sequence[DueRefund]) -> list[ReservationImpaired]:
    """Reservations that still hold something of the refunded items."""
    rows = await db.fetch(
        """
        SELECT DISTINCT ON (r.account_id, r.request_id) r.account_id, r.request_id, r.reservation_id, f.number AS refund_number
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS f (owner_id, item_id, number)
            JOIN reservation_item i ON i.owner_id = f.owner_id AND i.item_id = f.item_id
            JOIN reservation r ON r.account_id = i.account_id AND r.reservation_id = i.reservation_id
        WHERE i.reserved_fen > i.invoiced_fen + i.released_fen ORDER BY r.account_id, r.request_id, f.number
        """,
        [one.account_id for one in refunds],
        [one.item_id for one in refunds],
        [one.number for one in refunds],
    )
    return [ReservationImpaired(**row) for row in rows]


async def book(db: Connection, account_id: int, reservation_id: int | None, made: Booking) -> None:
    await db.execute(
        """
        UPDATE reservation_item r SET invoiced_fen = r.invoiced_fen + b.invoiced, released_fen = r.released_fen + b.released
        FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS b (item_id, invoiced, released)
        WHERE r.account_id = $1 AND r.reservation_id = $2 AND r.item_id = b.item_id
        """,
        account_id,
        reservation_id,
        [one.item_id for one in made.booked],
        [one.invoiced_fen for one in made.booked],
        [one.released_fen for one in made.booked],
    )
    await db.execute(
        "UPDATE reservation_offset SET undone = true WHERE $3 AND account_id = $1 AND reservation_id = $2",
        account_id,
        reservation_id,
        made.undone,
    )


async def booking_of(db: Connection, fact: PartFact, wanted: str) -> str | None:
    """What was booked of the part before; from here on it is `wanted`, unless a document has been booked already."""
    before: str | None = await db.fetchval(
        "SELECT state FROM part_booking WHERE account_id = $1 AND part_id = $2 FOR UPDATE",
        fact.account_id,
        fact.part_id,
    )
    await db.execute(
        """
        INSERT INTO part_booking AS b (account_id, part_id, state) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, part_id) DO UPDATE SET state = excluded.state WHERE b.state = 'released'
        """,
        fact.account_id,
        fact.part_id,
        wanted,
    )
    return before
