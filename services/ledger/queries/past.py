"""Items as they were at a past moment: what arrived later is not there, and what moved later is moved back."""

from services.ledger.queries.filters import ITEM

OPEN = "opens_at <= $2"
"""`$2` is the moment."""

BUCKETS = {name: f"{name}_fen" for name in ("invoiceable", "reserved", "invoiced", "offset")} | {
    "outside": "refunded_fen"
}
_MOVED = ", ".join(
    f"coalesce(sum(CASE '{bucket}' WHEN to_bucket THEN amount_fen WHEN from_bucket THEN -amount_fen END), 0)::bigint AS {column}"
    for bucket, column in BUCKETS.items()
)
_AS_WAS = ", ".join(f"i.{column} - coalesce(l.{column}, 0) AS {column}" for column in BUCKETS.values())
_LATER = f"SELECT {{}}{_MOVED} FROM move m WHERE m.account_id = $1 AND m.at > $2"
_PAST = f"""(
    SELECT {", ".join(f"i.{name.strip()}" for name in ITEM.split(",") if name.strip() not in BUCKETS.values())}, i.account_id, {_AS_WAS}
    FROM item i {{}} WHERE i.account_id = $1 AND i.arrived_at <= $2
) AS item"""
PAST_WHOLE = _PAST.format(f"LEFT JOIN ({_LATER.format('item_id, ')} GROUP BY item_id) AS l USING (item_id)")
PAST_PAGE = _PAST.format(f"CROSS JOIN LATERAL ({_LATER.format('')} AND m.item_id = i.item_id) AS l")
"""Relations that stand for `item`: all at once, or one by one."""
