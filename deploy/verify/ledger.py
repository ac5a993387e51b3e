"""Money inside the ledger: nothing over-allocated, nothing from nowhere, every sum the sum of its parts."""

from deploy.verify.world import World

Violations = list[str]


async def no_item_over_allocated(world: World) -> Violations:
    """Below zero an item goes by its refunds, and by documents that turned out to exist after all; by nothing else, and a request takes
    no more than there is at that moment."""
    rows = await world.rows(
        "ledger",
        """
        SELECT account_id, item_id FROM item
        WHERE reserved_fen < 0 OR invoiced_fen < 0 OR refunded_fen < 0
            OR settled_fen - refunded_fen <> invoiceable_fen + reserved_fen + invoiced_fen + offset_fen
            OR -invoiceable_fen > coalesce((
                SELECT sum(amount_fen) FROM move m WHERE m.account_id = item.account_id AND m.item_id = item.item_id
                    AND from_bucket = 'invoiceable' AND to_bucket IN ('outside', 'invoiced')), 0)
        """,
    )
    taken = await world.rows(
        "ledger",
        """
        SELECT DISTINCT account_id, item_id FROM (
            SELECT account_id, item_id, m.from_bucket, m.to_bucket, m.cause, i.settled_fen + sum(
                CASE 'invoiceable' WHEN m.to_bucket THEN m.amount_fen WHEN m.from_bucket THEN -m.amount_fen ELSE 0 END
            ) OVER (PARTITION BY account_id, item_id ORDER BY m.move_id) AS left_fen
            FROM move m JOIN item i USING (account_id, item_id)
        ) AS journal
        WHERE from_bucket = 'invoiceable' AND to_bucket IN ('reserved', 'offset') AND cause LIKE 'request %' AND left_fen < 0
        """,
    )
    return [f"item {row['item_id']} of account {row['account_id']}" for row in rows] + [
        f"a request took more of item {row['item_id']} of account {row['account_id']} than it had" for row in taken
    ]


async def columns_equal_replay_of_moves(world: World) -> Violations:
    rows = await world.rows(
        "ledger",
        """
        WITH replay AS (
            SELECT account_id, item_id, bucket, sum(fen) AS fen FROM (
                SELECT account_id, item_id, to_bucket AS bucket, amount_fen AS fen FROM move
                UNION ALL SELECT account_id, item_id, from_bucket, -amount_fen FROM move
                UNION ALL SELECT account_id, item_id, 'invoiceable', settled_fen FROM item
            ) AS flows GROUP BY account_id, item_id, bucket
        ), columns AS (
            SELECT account_id, item_id, b.bucket, b.fen FROM item,
                LATERAL (VALUES ('invoiceable', invoiceable_fen), ('reserved', reserved_fen), ('invoiced', invoiced_fen),
                    ('offset', offset_fen), ('outside', refunded_fen)) AS b (bucket, fen)
        )
        SELECT account_id, item_id, bucket, c.fen AS has, r.fen AS should FROM columns c
            FULL JOIN replay r USING (account_id, item_id, bucket)
        WHERE coalesce(c.fen, 0) <> coalesce(r.fen, 0)
        """,
    )
    return [f"item {row['item_id']}: {row['bucket']} has {row['has']}, moves say {row['should']}" for row in rows]


async def sums_equal_items(world: World) -> Violations:
    rows = await world.rows(
        "ledger",
        """
        WITH promised AS (
            SELECT account_id, subject, sum(promised_fen) AS fen FROM promise GROUP BY account_id, subject
        ), in_items AS (
            SELECT account_id, subject, sum(settled_fen) AS settled, sum(refunded_fen) AS refunded,
                sum(greatest(invoiceable_fen, 0)) AS positive, sum(least(invoiceable_fen, 0)) AS negative,
                sum(reserved_fen) AS reserved, sum(invoiced_fen) AS invoiced, sum(offset_fen) AS offset_
            FROM item GROUP BY account_id, subject
        ), counted AS (
            SELECT account_id, subject, settled, refunded, positive - coalesce(fen, 0) AS positive, negative,
                reserved + coalesce(fen, 0) AS reserved, invoiced, offset_
            FROM in_items LEFT JOIN promised USING (account_id, subject)
        ), kept AS (
            SELECT account_id, subject, sum(settled_fen) AS settled, sum(refunded_fen) AS refunded,
                sum(positive_fen) AS positive, sum(negative_fen) AS negative,
                sum(reserved_fen) AS reserved, sum(invoiced_fen) AS invoiced, sum(offset_fen) AS offset_
            FROM balance_sum GROUP BY account_id, subject
        )
        SELECT account_id, subject FROM counted c FULL JOIN kept k USING (account_id, subject)
        WHERE (c.settled, c.refunded, c.positive, c.negative, c.reserved, c.invoiced, c.offset_)
            IS DISTINCT FROM (k.settled, k.refunded, k.positive, k.negative, k.reserved, k.invoiced, k.offset_)
        """,
    )
    return [f"account {row['account_id']}, {row['subject']}" for row in rows]


async def reserved_equals_what_reservations_hold(world: World) -> Violations:
    rows = await world.rows(
        "ledger",
        """
        WITH held AS (
            SELECT owner_id AS account_id, item_id, sum(reserved_fen - invoiced_fen - released_fen) AS fen
            FROM allocation GROUP BY owner_id, item_id
        )
        SELECT account_id, item_id, i.reserved_fen, h.fen FROM item i FULL JOIN held h USING (account_id, item_id)
        WHERE coalesce(i.reserved_fen, 0) <> coalesce(h.fen, 0)
        """,
    )
    return [f"item {row['item_id']} has {row['reserved_fen']} reserved, reservations hold {row['fen']}" for row in rows]


async def offsets_have_two_sides(world: World) -> Violations:
    """What one item paid another accepted, of the same subject; and items say what the pairs say."""
    rows = await world.rows(
        "ledger",
        """
        WITH pairs AS (
            SELECT owner_id AS account_id, from_item_id AS item_id, amount_fen AS fen FROM reservation_offset WHERE NOT undone
            UNION ALL SELECT to_owner_id, to_item_id, -amount_fen FROM reservation_offset WHERE NOT undone
        ), said AS (SELECT account_id, item_id, sum(fen) AS fen FROM pairs GROUP BY account_id, item_id)
        SELECT account_id, item_id, i.offset_fen, s.fen FROM item i FULL JOIN said s USING (account_id, item_id)
        WHERE coalesce(i.offset_fen, 0) <> coalesce(s.fen, 0)
        """,
    )
    uneven = await world.rows(
        "ledger", "SELECT subject FROM item GROUP BY subject HAVING sum(offset_fen) <> 0 ORDER BY subject"
    )
    return [f"item {row['item_id']} has {row['offset_fen']} offset, pairs say {row['fen']}" for row in rows] + [
        f"offsets of {row['subject']} do not add up to nothing" for row in uneven
    ]


CHECKS = (
    no_item_over_allocated,
    columns_equal_replay_of_moves,
    sums_equal_items,
    reserved_equals_what_reservations_hold,
    offsets_have_two_sides,
)
