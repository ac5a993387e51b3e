"""What people search for: items, usage, refunds, and what a request holds. Tables of filters and states, one predicate each."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.ledger.intake import rules as intake

PAGE_MAX = 200
Place = Sequence[object]
"""The key of the last row of the page before: pages go on from there, at any depth."""

NEVER = f"'{intake.NEVER.isoformat()}'"
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
FILTERS = {
    "number": "(number = {0} OR contract_number = {0})",
    "product": "product_code = {0}",
    "item_name": "position(lower({0}) IN lower(item_name)) > 0",
    "cycle": "cycle = {0}",
    "subject": "subject = {0}",
    "min_fen": "settled_fen >= {0}",
    "max_fen": "settled_fen <= {0}",
    "since": "occurred_at >= {0}",
    "until": "occurred_at < {0}",
}
OF_THE_SUMS = {"subject", "cycle"}
PAPER_FILTERS = {"number": "number = {0}", "cycle": "cycle = {0}", "subject": "subject = {0}"}
REFUND_STATES = {"waiting": "item_id IS NULL", "attached": "item_id IS NOT NULL"}

ITEM = """item_id, kind, number, line, contract_number, cycle, subject, content, tax_percent, product_code, item_name, spec, order_type,
    occurred_at, arrived_at, opens_at, list_fen, voucher_fen, settled_fen, refunded_fen, invoiceable_fen, reserved_fen, invoiced_fen,
    offset_fen"""
_IN_EACH = ", ".join(f"CASE WHEN {test} THEN '{state}' END" for state, test in STATES.items())
ITEM_AND_STATES = f"{ITEM}, array_remove(ARRAY[{_IN_EACH}], NULL) AS states"


def matching(
    asked: Mapping[str, object], first: int, filters: Mapping[str, str] = FILTERS, states: Mapping[str, str] = STATES
) -> tuple[str, list[object]]:
    """The predicates of what is asked for, and their values, numbered from `$first`."""
    values = {name: value for name, value in asked.items() if name != "state"}
    tests = [filters[name].format(f"${place}") for place, name in enumerate(values, first)]
    tests += [states[str(asked["state"])]] if "state" in asked else []
    return "".join(f" AND {test}" for test in tests), list(values.values())


def walk(columns: str, relation: str, asked: Mapping[str, object], tests: str) -> str:
    """A page of at most `$3`, oldest first, after the place `$4`, `$5`. `tests` are of `matching`, from `$6`.

    By subject or month it is put together from the first rows of each pair of these that the account has: so each is a
    walk of one index, however few of the items they are.
    """
    rows = f"SELECT {{}} FROM {relation} WHERE account_id = $1 AND (occurred_at, item_id) > ($4, $5){tests}"
    page = "ORDER BY occurred_at, item_id LIMIT $3"
    valued = [name for name in asked if name != "state"]
    pairs = "".join(
        f" AND {FILTERS[name].format(f'${place}')}" for place, name in enumerate(valued, 6) if name in OF_THE_SUMS
    )
    if not pairs or "number" in asked:
        return f"{rows.format(columns)} {page}"
    of_pair = "subject = pair.of_subject AND cycle = pair.of_cycle"
    return f"""
        SELECT found.* FROM (
            SELECT DISTINCT subject AS of_subject, cycle AS of_cycle FROM balance_sum WHERE account_id = $1{pairs}
        ) AS pair CROSS JOIN LATERAL ({rows.format(columns)} AND {of_pair} {page}) AS found {page}
    """


async def items(
    db: Connection, account_id: int, asked: Mapping[str, object], now: datetime, after: Place, limit: int
) -> list[Record]:
    tests, values = matching(asked, 6)
    statement = walk(ITEM_AND_STATES, "item", asked, tests)
    return await db.fetch(statement, account_id, now, limit, *after, *values)


async def items_of_number(db: Connection, account_id: int, number: str, now: datetime) -> list[Record]:
    return await db.fetch(
        f"SELECT {ITEM_AND_STATES} FROM item WHERE account_id = $1 AND number = $3 ORDER BY kind, line",
        account_id,
        now,
        number,
    )


async def found_elsewhere(db: Connection, account_id: int, number: str) -> list[str]:
    """Where a number is that no order or bill has."""
    rows = await db.fetch(
        """
        SELECT 'usage' AS place WHERE EXISTS (SELECT FROM usage_record WHERE account_id = $1 AND number = $2)
        UNION ALL SELECT 'refunds' WHERE EXISTS (SELECT FROM refund WHERE account_id = $1 AND number = $2)
        """,
        account_id,
        number,
    )
    return [row["place"] for row in rows]


async def totals(db: Connection, account_id: int, asked: Mapping[str, object], now: datetime) -> Record:
    """Of everything that matches. Of a subject or month the money comes from the sums, and only the count from an index."""
    tests, values = matching(asked, 3)
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
    tests, values = matching(asked, 5, PAPER_FILTERS)
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
    tests, values = matching(asked, 5, PAPER_FILTERS, REFUND_STATES)
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


async def reservation_of(db: Connection, account_id: int, request_id: int) -> int | None:
    """Of a large request also while its documents are being picked."""
    reservation_id: int | None = await db.fetchval(
        """
        SELECT reservation_id FROM reservation WHERE account_id = $1 AND request_id = $2
        UNION ALL SELECT reservation_id FROM allocation WHERE account_id = $1 AND request_id = $2
        """,
        account_id,
        request_id,
    )
    return reservation_id


async def reserved_items(
    db: Connection, account_id: int, reservation_id: int, after: Place, limit: int
) -> list[Record]:
    """In the order in which they were taken. What a document of another account is called, that account alone may see."""
    return await db.fetch(
        """
        SELECT r.place, r.owner_id, r.item_id, i.kind, i.number, i.line, i.item_name, i.subject, i.cycle, i.occurred_at, r.group_no,
            r.reserved_fen, r.invoiced_fen, r.released_fen, r.credited_fen
        FROM reservation_item r LEFT JOIN item i ON i.account_id = $1 AND r.owner_id = $1 AND i.item_id = r.item_id
        WHERE r.account_id = $1 AND r.reservation_id = $2 AND r.place > $4 ORDER BY r.place LIMIT $3
        """,
        account_id,
        reservation_id,
        limit,
        *after,
    )
