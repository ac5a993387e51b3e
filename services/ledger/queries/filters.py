"""Filters in SQL: one predicate each, and a page of items, oldest first, put together from them."""

from collections.abc import Mapping, Sequence

from services.ledger.journal import rules

PAGE_MAX = 200
Place = Sequence[object]
"""The key of the last row of the page before: pages go on from there, at any depth."""

NEVER = f"'{rules.NEVER.isoformat()}'"
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

ITEM = """item_id, kind, number, line, contract_number, cycle, subject, content, tax_percent, product_code, item_name, spec, order_type,
    occurred_at, arrived_at, opens_at, list_fen, voucher_fen, settled_fen, refunded_fen, invoiceable_fen, reserved_fen, invoiced_fen,
    offset_fen"""


def predicates(
    asked: Mapping[str, object],
    first: int,
    filters: Mapping[str, str] = FILTERS,
    states: Mapping[str, str] | None = None,
) -> tuple[str, list[object]]:
    """The predicates of what is asked for, and their values, numbered from `$first`. `states` are the predicates of a `state`."""
    values = {name: value for name, value in asked.items() if name != "state"}
    tests = [filters[name].format(f"${place}") for place, name in enumerate(values, first)]
    tests += [(states or {})[str(asked["state"])]] if "state" in asked else []
    return "".join(f" AND {test}" for test in tests), list(values.values())


def walk(columns: str, relation: str, asked: Mapping[str, object], tests: str) -> str:
    """A page of at most `$3`, oldest first, after the place `$4`, `$5`. `tests` are of `predicates`, from `$6`.

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
