"""What is behind a balance: terms summed, the documents of each, the history of one, and all of it as it was at a past moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.ledger.queries.filters import NEVER, Place, predicates, walk
from services.ledger.queries.past import BUCKETS, OPEN, PAST_PAGE, PAST_WHOLE

LIST_FEN = "coalesce(list_fen, settled_fen + coalesce(voucher_fen, 0))"
TERMS = {
    "list_price": (LIST_FEN, "true"),
    "vouchers": ("-voucher_fen", "voucher_fen <> 0"),
    "discounts": (
        f"settled_fen + coalesce(voucher_fen, 0) - {LIST_FEN}",
        "list_fen <> settled_fen + coalesce(voucher_fen, 0)",
    ),
    "not_open_yet": ("-settled_fen", f"settled_fen <> 0 AND opens_at > $2 AND opens_at < {NEVER}"),
    "others_invoice": ("-settled_fen", f"settled_fen <> 0 AND opens_at = {NEVER}"),
    "refunds": ("-refunded_fen", f"refunded_fen <> 0 AND {OPEN}"),
    "invoiced": ("-invoiced_fen", f"invoiced_fen <> 0 AND {OPEN}"),
    "in_progress": ("-reserved_fen", f"reserved_fen <> 0 AND {OPEN}"),
    "offset_cost": ("-offset_fen", f"offset_fen <> 0 AND offset_fen > 0 AND {OPEN}"),
    "offset_accept": ("-offset_fen", f"offset_fen <> 0 AND offset_fen < 0 AND {OPEN}"),
}
"""What an item adds to a term, and which items do. `$2` is the moment."""
COUNTED = {
    "settled": ("settled_fen", "true"),
    "consumed": ("settled_fen", OPEN),
    "positive": ("invoiceable_fen", f"invoiceable_fen > 0 AND {OPEN}"),
    "negative": ("invoiceable_fen", f"invoiceable_fen < 0 AND {OPEN}"),
}
SUMS = ", ".join(
    f"coalesce(sum({fen}) FILTER (WHERE {test}), 0)::bigint AS {name}"
    for name, (fen, test) in (TERMS | COUNTED).items()
)


async def parts(
    db: Connection, account_id: int, subject: str, now: datetime, as_of: datetime | None
) -> Mapping[str, int]:
    """Every term of a subject. What is in allocation is known of the present only."""
    row = await db.fetchrow(
        f"SELECT {SUMS} FROM {'item' if as_of is None else PAST_WHOLE} WHERE account_id = $1 AND subject = $3",
        account_id,
        as_of or now,
        subject,
    )
    assert row is not None, "an aggregate has a row"
    waiting = [] if as_of else await in_allocation(db, account_id, subject)
    return dict(row) | {"in_allocation": sum(one["fen"] for one in waiting)}


async def in_allocation(db: Connection, account_id: int, subject: str) -> list[Record]:
    """What is promised and not yet allocated: a few rows of the sums, seldom any."""
    return await db.fetch(
        """
        SELECT subject, cycle, -sum(promised_fen)::bigint AS fen FROM promise WHERE account_id = $1 AND subject = $2
        GROUP BY subject, cycle ORDER BY cycle
        """,
        account_id,
        subject,
    )


async def documents(
    db: Connection,
    account_id: int,
    subject: str,
    term: str,
    now: datetime,
    as_of: datetime | None,
    after: Place,
    limit: int,
) -> list[Record]:
    """A page of what adds up to a term."""
    if term == "in_allocation":
        return [] if as_of else await in_allocation(db, account_id, subject)
    fen, test = TERMS[term]
    asked = {"subject": subject}
    tests, values = predicates(asked, 6)
    columns = (
        f"item_id, kind, number, line, item_name, subject, cycle, occurred_at, opens_at <= $2 AS is_open, {fen} AS fen"
    )
    statement = walk(columns, "item" if as_of is None else PAST_PAGE, asked, f"{tests} AND {test}")
    return await db.fetch(statement, account_id, as_of or now, limit, *after, *values)


async def causes(
    db: Connection, account_id: int, items: Sequence[int], term: str, moment: datetime
) -> Sequence[Record]:
    """Why these items are in a term, the latest causes first, each with what it adds."""
    if term not in BUCKET_OF:
        return []
    return await db.fetch(
        f"""
        SELECT item_id, cause, fen FROM unnest($2::bigint[]) AS item_id CROSS JOIN LATERAL (
            SELECT cause, {CAUSED} AS fen, max(move_id) AS latest FROM move m
            WHERE m.account_id = $1 AND m.item_id = item_id.item_id AND $3 IN (from_bucket, to_bucket) AND at <= $4
            GROUP BY cause HAVING {CAUSED} <> 0 ORDER BY latest DESC LIMIT {CAUSES_MAX}
        ) AS caused ORDER BY item_id, latest DESC
        """,
        account_id,
        items,
        BUCKET_OF[term],
        moment,
    )


CAUSED = "sum(CASE $3 WHEN from_bucket THEN amount_fen ELSE -amount_fen END)::bigint"
BUCKET_OF = {"refunds": "outside", "invoiced": "invoiced", "in_progress": "reserved"} | dict.fromkeys(
    ("offset_cost", "offset_accept"), "offset"
)
CAUSES_MAX = 20

RUNNING = (
    "sum(CASE '{}' WHEN to_bucket THEN amount_fen WHEN from_bucket THEN -amount_fen ELSE 0 END) OVER history_so_far"
)


async def moves(db: Connection, account_id: int, number: str, after: Place, limit: int) -> list[Record]:
    """Everything that happened to a document's items, one item after the other, and where their money was after each."""
    running = ", ".join(
        f"({came} + {RUNNING.format(bucket)})::bigint AS {column}"
        for bucket, column in BUCKETS.items()
        for came in ["i.settled_fen" if bucket == "outside" else "0"]
    )
    return await db.fetch(
        f"""
        SELECT * FROM (
            SELECT i.item_id, i.kind, i.number, i.line, m.*, {running}
            FROM item i CROSS JOIN LATERAL (
                SELECT 0::bigint AS move_id, 'outside' AS from_bucket, 'invoiceable' AS to_bucket, i.settled_fen AS amount_fen,
                    NULL AS cause, i.arrived_at AS at
                UNION ALL SELECT move_id, from_bucket, to_bucket, amount_fen, cause, at
                FROM move WHERE account_id = $1 AND move.item_id = i.item_id
            ) AS m WHERE i.account_id = $1 AND i.number = $2 WINDOW history_so_far AS (PARTITION BY i.item_id ORDER BY m.move_id)
        ) AS history WHERE (item_id, move_id) > ($4, $5) ORDER BY item_id, move_id LIMIT $3
        """,
        account_id,
        number,
        limit,
        *after,
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
