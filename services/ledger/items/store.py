"""What people search for: items, usage, refunds, and what a request holds. Tables of filters and states, one predicate each."""

from collections.abc import Mapping
from datetime import datetime

from asyncpg import Connection, Record

from services.ledger.queries.filters import ITEM, NEVER, OF_THE_SUMS, Place, predicates, walk

STATES = {
    "open": "invoiceable_fen <> 0 AND invoiceable_fen > 0 AND opens_at <= $2",
    "not_open_yet": f"opens_at > $2 AND opens_at < {NEVER}",
    "not_invoiceable": f"opens_at = {NEVER}",
    "reserved": "reserved_fen > 0",
    "partly_invoiced": "invoiced_fen > 0 AND (invoiceable_fen > 0 OR reserved_fen > 0)",
    "invoiced": "invoiced_fen > 0 AND invoiceable_fen <= 0 AND reserved_fen = 0",
    "refunded": "refunded_fen > 0",
    "in_deficit": "invoiceable_fen < 0",
    "offset": "offset_fen <> 0 AND offset_fen > 0",
    "deficit_paid": "offset_fen <> 0 AND offset_fen < 0",
}
"""An item may be in several. `$2` is now. What is said twice is said once in the words of a partial index."""
DOCUMENT_FILTERS = {"number": "number = {0}", "cycle": "cycle = {0}", "subject": "subject = {0}"}
REFUND_STATES = {"waiting": "item_id IS NULL", "attached": "item_id IS NOT NULL"}


_IN_EACH = ", ".join(f"CASE WHEN {test} THEN '{state}' END" for state, test in STATES.items())
ITEM_AND_STATES = f"{ITEM}, array_remove(ARRAY[{_IN_EACH}], NULL) AS states"


async def items(
    db: Connection, account_id: int, asked: Mapping[str, object], now: datetime, after: Place, limit: int
) -> list[Record]:
    tests, values = predicates(asked, 6, states=STATES)
    statement = walk(ITEM_AND_STATES, "item", asked, tests)
    return await db.fetch(statement, account_id, now, limit, *after, *values)


async def items_of_number(db: Connection, account_id: int, number: str, now: datetime) -> list[Record]:
    return await db.fetch(
        f"SELECT {ITEM_AND_STATES} FROM item WHERE account_id = $1 AND number = $3 ORDER BY kind, line",
        account_id,
        now,
        number,
    )


async def totals(db: Connection, account_id: int, asked: Mapping[str, object], now: datetime) -> Record:
    """Of everything that matches. Of a subject or month the money comes from the sums, and only the count from an index."""
    tests, values = predicates(asked, 3, states=STATES)
    statement = OF_SUMS if asked.keys() <= OF_THE_SUMS else OF_ITEMS
    row = await db.fetchrow(statement.format(tests=tests), account_id, now, *values)
    assert row is not None, "an aggregate has a row"
    return row


TOTALS = ", ".join(
    f"coalesce(sum({name}), 0)::bigint AS {name}"
    for name in ("settled_fen", "refunded_fen", "reserved_fen", "invoiced_fen", "offset_fen")
)
OF_SUMS = f"""
    SELECT (SELECT count(*) FROM item WHERE account_id = $1{{tests}}) AS count, {TOTALS},
        coalesce(sum(positive_fen + negative_fen), 0)::bigint AS invoiceable_fen,
        coalesce(sum(positive_fen) FILTER (WHERE opens_at <= $2), 0)::bigint AS can_invoice_fen
    FROM balance_sum WHERE account_id = $1{{tests}}
"""
OF_ITEMS = f"""
    SELECT count(*) AS count, {TOTALS}, coalesce(sum(invoiceable_fen), 0)::bigint AS invoiceable_fen,
        coalesce(sum(invoiceable_fen) FILTER (WHERE invoiceable_fen > 0 AND opens_at <= $2), 0)::bigint AS can_invoice_fen
    FROM item WHERE account_id = $1{{tests}}
"""


async def usage(db: Connection, account_id: int, asked: Mapping[str, object], after: Place, limit: int) -> list[Record]:
    """`billed`: a bill of its subject and month has come."""
    tests, values = predicates(asked, 5, DOCUMENT_FILTERS)
    return await db.fetch(
        f"""
        SELECT number, line, cycle, subject, cash_fen, occurred_at, earliest_at, EXISTS (
            SELECT FROM balance_sum s WHERE s.account_id = $1 AND s.subject = u.subject AND s.cycle = u.cycle
                AND s.opens_at = u.earliest_at) AS billed
        FROM usage_record u WHERE account_id = $1 AND (number, line) > ($3, $4){tests} ORDER BY number, line LIMIT $2
        """,
        account_id,
        limit,
        *after,
        *values,
    )


async def refunds(
    db: Connection, account_id: int, asked: Mapping[str, object], after: Place, limit: int
) -> list[Record]:
    tests, values = predicates(asked, 5, DOCUMENT_FILTERS, REFUND_STATES)
    return await db.fetch(
        f"""
        SELECT number, line, original_number, original_line, cash_fen, occurred_at, arrived_at, item_id
        FROM refund WHERE account_id = $1 AND (number, line) > ($3, $4){tests} ORDER BY number, line LIMIT $2
        """,
        account_id,
        limit,
        *after,
        *values,
    )


async def reserved_items(
    db: Connection, account_id: int, reservation_id: int, after: Place, limit: int
) -> list[Record]:
    """In the order in which they were taken. What a document of another account is called, that account alone may see."""
    return await db.fetch(
        """
        SELECT r.place, r.owner_id, r.item_id, i.kind, i.number, i.line, i.item_name, i.subject, i.cycle, i.occurred_at, r.group_no,
            r.reserved_fen, r.invoiced_fen, r.released_fen, r.credited_fen
        FROM allocation r LEFT JOIN item i ON i.account_id = $1 AND r.owner_id = $1 AND i.item_id = r.item_id
        WHERE r.account_id = $1 AND r.reservation_id = $2 AND r.place > $4 ORDER BY r.place LIMIT $3
        """,
        account_id,
        reservation_id,
        limit,
        *after,
    )
