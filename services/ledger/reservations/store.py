"""The one answer to each request, and what is held for it. A large reservation has its row from the beginning and its answer in the end."""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.journal.rules import DueRefund
from services.ledger.netting.rules import Offset
from services.ledger.reservations.rules import Decision, Repeated, Reservation, TooManyItems
from services.ledger.selections.store import RESERVING
from shared.contracts.ledger import BalanceReserved, OffsetPair, ReservationImpaired, ReservationRefused, Selection

ANSWERS: dict[str, type[BalanceReserved] | type[ReservationRefused]] = {
    answer.__name__: answer for answer in (BalanceReserved, ReservationRefused)
}


async def begin(db: Connection, command: Selection) -> tuple[Repeated | None, int]:
    """What was said to this request before; and an id, should it be new.

    From here to the end of the transaction no large reservation of these accounts takes its sums.
    """
    row = await db.fetchrow(
        """
        SELECT r.answer_type, r.answer, r.request_id IS NOT NULL AS known, nextval('reservation_id') AS id
        FROM (SELECT count(pg_advisory_xact_lock_shared($4, hashint8(account_id))) FROM unnest($3::bigint[]) AS l (account_id)) locked,
            (SELECT $1::bigint AS account_id, $2::bigint AS request_id) me LEFT JOIN reservation r USING (account_id, request_id)
        """,
        command.account_id,
        command.request_id,
        sorted(command.accounts),
        RESERVING,
    )
    assert row is not None
    said = () if row["answer"] is None else (ANSWERS[row["answer_type"]].model_validate_json(row["answer"]),)
    return Repeated(said) if row["known"] else None, row["id"]


async def add(db: Connection, decision: Decision, now: datetime) -> None:
    """The answer and its allocations."""
    answer, allocations = decision.answer, decision.allocations
    await db.execute(
        """
        WITH answered AS (
            INSERT INTO reservation (account_id, request_id, reservation_id, answer_type, answer, at, large)
            VALUES ($1, $2, $3, $4, $5, $6, $12)
        )
        INSERT INTO allocation (account_id, reservation_id, owner_id, item_id, group_no, place, reserved_fen)
        SELECT $1, $3, t.* FROM unnest($7::bigint[], $8::bigint[], $9::int[], $10::int[], $11::bigint[]) AS t
        """,
        answer.account_id,
        answer.request_id,
        decision.reservation_id,
        type(answer).__name__,
        answer.model_dump_json(),
        now,
        [one.item.account_id for one in allocations],
        [one.item.item_id for one in allocations],
        [one.group_no for one in allocations],
        list(range(len(allocations))),
        [one.amount_fen for one in allocations],
        decision.large,
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


async def add_large(db: Connection, large: TooManyItems, now: datetime) -> None:
    """Without an answer: workers find it."""
    await db.execute(
        """
        INSERT INTO reservation (account_id, request_id, reservation_id, large, command, arrived_at) VALUES ($1, $2, $3, true, $4, $5)
        """,
        large.command.account_id,
        large.command.request_id,
        large.reservation_id,
        large.command.model_dump_json(),
        now,
    )


async def of_request(db: Connection, account_id: int, request_id: int) -> Reservation | None:
    row = await db.fetchrow(
        """
        SELECT reservation_id, large, answer IS NOT NULL AS answered, CASE WHEN large THEN answer -> 'groups' END AS groups
        FROM reservation WHERE account_id = $1 AND request_id = $2
        """,
        account_id,
        request_id,
    )
    if row is None:
        return None
    groups = json.loads(row["groups"] or "[]")
    group_fen = {group["group_no"]: group["amount_fen"] for group in groups}
    return Reservation(row["reservation_id"], row["large"], row["answered"], group_fen)


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


async def affected_by_refunds(db: Connection, refunds: Sequence[DueRefund]) -> list[ReservationImpaired]:
    """Reservations that still hold something of the refunded items, also those that are still being allocated."""
    if not refunds:
        return []
    rows = await db.fetch(
        """
        SELECT DISTINCT ON (r.account_id, r.request_id) r.account_id, r.request_id, r.reservation_id, f.number AS refund_number
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS f (owner_id, item_id, number)
            JOIN allocation a ON a.owner_id = f.owner_id AND a.item_id = f.item_id
            JOIN reservation r ON r.account_id = a.account_id AND r.reservation_id = a.reservation_id
        WHERE a.reserved_fen > a.invoiced_fen + a.released_fen ORDER BY r.account_id, r.request_id, f.number
        """,
        [one.account_id for one in refunds],
        [one.item_id for one in refunds],
        [one.number for one in refunds],
    )
    return [ReservationImpaired(**row) for row in rows]
