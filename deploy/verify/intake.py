"""Intake: what upstream said counts in the ledger, once, to the fen; nothing counts that nobody said."""

import json
from collections import defaultdict

from deploy.verify.world import Row, Seen, World

Violations = list[str]


async def every_effect_once(world: World) -> Violations:
    """Each settled line of the billing topic is one item with its money, and each item comes from the topic.

    What was said first counts; where something of the document is parked, it may be what was said later.
    """
    lines: dict[tuple[int, str, str, int], list[int]] = defaultdict(list)
    for record in world.records("billing.events"):
        body = body_of(record.value)
        kind = {"OrderPaid": "order", "BillSettled": "bill", "BillAdjusted": "adjustment"}.get(kind_of(record, body))
        for number, line in enumerate(lines_of(body, "lines") if kind else (), 1):
            lines[body["account_id"], str(kind), body["number"], number].append(line["cash_fen"])
    given_up = await _given_up(world)
    items = {
        (row["account_id"], row["kind"], row["number"], row["line"]): row["settled_fen"]
        for row in await world.rows("ledger", "SELECT account_id, kind, number, line, settled_fen FROM item")
    }
    missing = [
        f"{key} has no item"
        for key in lines
        if key not in items and (key[0], key[2]) not in given_up and lines[key][0] > 0
    ]
    wrong = [
        f"{key}: item has {items[key]}, upstream said {said[0]}"
        for key, said in lines.items()
        if key in items and items[key] not in (said if (key[0], key[2]) in given_up else said[:1])
    ]
    return missing + wrong + [f"item {key} comes from nowhere" for key in items if key not in lines]


async def every_refund_once(world: World) -> Violations:
    """Each refund of the billing topic counts once, or waits for its original; items have been refunded what their refunds say."""
    said: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for record in world.records("billing.events"):
        body = body_of(record.value)
        name = {"RefundSettled": "lines", "BillAdjusted": "refunds"}.get(kind_of(record, body))
        for number, line in enumerate(lines_of(body, name or ""), 1):
            said[body["account_id"], body["number"], number].append(line["cash_fen"])
    given_up = await _given_up(world)
    kept = {
        (row["account_id"], row["number"], row["line"]): row["cash_fen"]
        for row in await world.rows("ledger", "SELECT account_id, number, line, cash_fen FROM refund")
    }
    uneven = await world.rows(
        "ledger",
        """
        WITH counted AS (
            SELECT account_id, item_id, sum(cash_fen) AS fen FROM refund WHERE item_id IS NOT NULL GROUP BY account_id, item_id
        )
        SELECT account_id, item_id, i.refunded_fen, c.fen FROM item i FULL JOIN counted c USING (account_id, item_id)
        WHERE coalesce(i.refunded_fen, 0) <> coalesce(c.fen, 0)
        """,
    )
    return (
        [f"refund {key} is lost" for key in said if key not in kept and (key[0], key[1]) not in given_up]
        + [
            f"refund {key}: has {fen}, upstream said {said.get(key)}"
            for key, fen in kept.items()
            if fen not in said.get(key, ())[: None if (key[0], key[1]) in given_up else 1]
        ]
        + [f"item {row['item_id']} was refunded {row['refunded_fen']}, its refunds say {row['fen']}" for row in uneven]
    )


async def cash_equals_top_ups(world: World) -> Violations:
    """Each top-up of the account topic counts once, and one that is parked when somebody redrives it."""
    said: dict[int, int] = defaultdict(int)
    seen = set()
    rows = await world.rows(
        "ledger", 'SELECT topic, "partition", "offset" FROM runtime.parked WHERE status <> \'redriven\''
    )
    parked = {(row["topic"], row["partition"], row["offset"]) for row in rows}
    for record in world.records("account.events"):
        if (record.topic, record.partition, record.offset) in parked:
            continue
        body = body_of(record.value)
        document = document_of(body) if _is_number(body.get("cash_fen")) else None
        if kind_of(record, body) == "CashToppedUp" and document is not None and document not in seen:
            seen.add(document)
            said[body["account_id"]] += body["cash_fen"]
    kept = {
        row["account_id"]: row["topped_fen"]
        for row in await world.rows("ledger", "SELECT account_id, topped_fen FROM cash")
    }
    return [
        f"account {account}: has {kept.get(account, 0)}, upstream said {said.get(account, 0)}"
        for account in sorted(said.keys() | kept.keys())
        if kept.get(account, 0) != said.get(account, 0)
    ]


def body_of(value: bytes | None) -> Row:
    """What an upstream record says, in either mode of CloudEvents; nothing if it can't be read."""
    try:
        body = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    if isinstance(body, dict) and "specversion" in body:
        data = body.get("data")
        return (data if isinstance(data, dict) else {}) | {"_type": body.get("type")}
    return body if isinstance(body, dict) and "account_id" in body else {}


def lines_of(body: Row, name: str) -> list[Row]:
    """The lines of a document. What cannot be one says nothing here: it has to be parked, and others check that."""
    found = body.get(name)
    lines = found if isinstance(found, list) and document_of(body) is not None else []
    return [line if isinstance(line, dict) and _is_number(line.get("cash_fen")) else {"cash_fen": 0} for line in lines]


def document_of(body: Row) -> tuple[int | float | str, str] | None:
    """Its account and number, if it has any."""
    account, number = body.get("account_id"), body.get("number")
    return (account, number) if isinstance(account, int | float | str) and isinstance(number, str) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(record: Seen, body: Row) -> str:
    return record.header("ce_type") or str(body.get("_type"))


async def _given_up(world: World) -> set[tuple[int | float | str, str]]:
    """Account and number of what is parked: it counts when somebody redrives it. Rows say where the record lies, which is what is read."""
    rows = await world.rows(
        "ledger", """SELECT "partition", "offset" FROM runtime.parked WHERE topic = 'billing.events'"""
    )
    places = {(row["partition"], row["offset"]) for row in rows}
    parked = [one for one in world.records("billing.events") if (one.partition, one.offset) in places]
    return {found for one in parked if (found := document_of(body_of(one.value))) is not None}


CHECKS = (every_effect_once, every_refund_once, cash_equals_top_ups)
