"""What a selection reads and locks: accounts in order, within an account oldest first."""

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.journal import limits, sums
from services.ledger.journal.sums import SumKey
from services.ledger.netting.rules import Candidate, Owed
from services.ledger.selections.rules import Choice, FreeMonth, NotItem, SeenItem, Walk
from shared.contracts.ledger import Selection

RESERVING = 1
"""The class of the advisory locks that small reservations share, and that a large one has alone while it takes its sums. They come before
any row: what is read in the statements after this one is as it is then.
"""
BESIDE_PROMISES = 3
"""The class of the advisory locks of small reservations beside large ones: taken after `RESERVING` and before any row."""

CANDIDATE = ", ".join(Candidate._fields)


async def lock_accounts(db: Connection, accounts: Collection[int], lock_class: int) -> None:
    """Until the end of the transaction nobody else has this lock of these accounts."""
    await db.execute(
        "SELECT pg_advisory_xact_lock($2, hashint8(account_id)) FROM unnest($1::bigint[]) AS a (account_id)",
        sorted(accounts),
        lock_class,
    )


async def promised_and_owing(db: Connection, accounts: Collection[int]) -> tuple[bool, bool]:
    """Whether something of these accounts is promised to a large reservation, and whether something of them is in deficit."""
    row = await db.fetchrow(
        """
        SELECT EXISTS (SELECT FROM promise WHERE account_id = ANY ($1)) AS promised,
            EXISTS (SELECT FROM item WHERE account_id = ANY ($1) AND invoiceable_fen < 0) AS owing
        """,
        list(accounts),
    )
    assert row is not None
    return row["promised"], row["owing"]


async def free_of_promised(db: Connection, accounts: Collection[int]) -> dict[SumKey, int]:
    """What is free of the sums on which there is a promise, without locks."""
    rows = await db.fetch(
        f"""
        SELECT {sums.KEY}, positive_fen FROM balance_sum
        WHERE account_id = ANY ($1) AND ({sums.KEY}) IN (SELECT {sums.KEY} FROM promise WHERE account_id = ANY ($1))
        """,
        list(accounts),
    )
    return {SumKey(*key): fen for *key, fen in rows}


async def owed(db: Connection, command: Selection, now: datetime) -> list[Owed]:
    """Open deficits of the accounts; the refund that came last is the one that made it."""
    rows = await db.fetch(
        """
        SELECT i.account_id, i.item_id, i.subject, -i.invoiceable_fen AS owed_fen, coalesce((
            SELECT r.number FROM refund r WHERE r.account_id = i.account_id AND r.item_id = i.item_id
            ORDER BY r.arrived_at DESC, r.number DESC LIMIT 1), i.number) AS number
        FROM item i
        WHERE i.account_id = ANY ($1) AND i.invoiceable_fen < 0 AND i.opens_at <= $2 AND ($3::text IS NULL OR i.subject = $3)
        ORDER BY i.account_id, i.occurred_at, i.item_id FOR UPDATE OF i
        """,
        list(command.accounts),
        now,
        command.subject,
    )
    return [Owed(**row) for row in rows]


async def numbered(db: Connection, command: Selection) -> list[Candidate]:
    """One more than a transaction may take, to see that there are too many."""
    rows = await db.fetch(
        f"""
        SELECT {CANDIDATE} FROM item
        WHERE account_id = ANY ($1) AND number = ANY ($2) AND ($3::text IS NULL OR subject = $3)
        ORDER BY account_id, occurred_at, item_id LIMIT {limits.ITEMS_MAX + 1} FOR UPDATE
        """,
        list(command.accounts),
        list(command.numbers),
        command.subject,
    )
    return [Candidate(*row.values()) for row in rows]


async def not_items(db: Connection, command: Selection, numbers: Sequence[str]) -> dict[str, NotItem]:
    """What else these numbers stand for."""
    if not numbers:
        return {}
    rows = await db.fetch(
        """
        SELECT number, original_number, NULL::timestamptz AS not_before FROM refund WHERE account_id = ANY ($1) AND number = ANY ($2)
        UNION ALL SELECT number, NULL, earliest_at FROM usage_record WHERE account_id = ANY ($1) AND number = ANY ($2)
        """,
        list(command.accounts),
        numbers,
    )
    return {row["number"]: row["original_number"] or row["not_before"] for row in rows}


async def free_months(db: Connection, command: Selection, account_id: int, now: datetime) -> list[FreeMonth]:
    """What of the selection is free, by month."""
    rows = await db.fetch(
        """
        SELECT cycle, sum(positive_fen)::bigint AS fen FROM balance_sum
        WHERE account_id = $1 AND opens_at <= $2 AND ($3::text IS NULL OR subject = $3) AND ($4 = '{}'::text[] OR cycle = ANY ($4))
            AND positive_fen > 0
        GROUP BY cycle ORDER BY cycle
        """,
        account_id,
        now,
        command.subject,
        list(command.cycles),
    )
    return [FreeMonth(*row) for row in rows]


async def seen_items(
    db: Connection,
    command: Selection,
    account_id: int,
    after: tuple[datetime, int],
    walk: Walk,
    items_max: int,
    used_up: Collection[SumKey],
    now: datetime,
) -> list[SeenItem]:
    """The next items of a walk, but those of sums that are used up.

    Read without locks: a statement that waits for a lock may come back short, and that is not the end.
    """
    rows = await db.fetch(
        f"""
        SELECT {", ".join(SeenItem._fields)} FROM item
        WHERE account_id = $1 AND (occurred_at, item_id) > ($2, $3) AND occurred_at < $4 AND invoiceable_fen <> 0 AND invoiceable_fen > 0
            AND opens_at <= $5 AND ($6::text IS NULL OR subject = $6) AND ($7 = '{{}}'::text[] OR cycle = ANY ($7))
            AND ($8 = '{{}}'::text[] OR product_code = ANY ($8))
            AND ($10 = '{{}}'::bigint[] OR ({sums.KEY}) NOT IN (SELECT * FROM {sums.given(10)}))
        ORDER BY occurred_at, item_id LIMIT $9
        """,
        account_id,
        *after,
        walk.ends_at,
        now,
        command.subject,
        list(command.cycles),
        list(command.products),
        items_max,
        *sums.columns(used_up),
    )
    return list(map(SeenItem._make, rows))


async def locked_items(db: Connection, account_id: int, choice: Choice, walk: Walk) -> list[Candidate]:
    """In the order of their numbers. Ordered by time instead, and most of them locked, PostgreSQL would walk the whole account."""
    rows = await db.fetch(
        f"""
        SELECT {CANDIDATE} FROM unnest($2::bigint[]) WITH ORDINALITY AS wanted (item_id, place) JOIN item USING (item_id)
        WHERE account_id = $1 ORDER BY place LIMIT $3 FOR UPDATE OF item {"SKIP LOCKED" if walk.passes_by else ""}
        """,
        account_id,
        choice.item_ids,
        choice.items_max,
    )
    return [Candidate(*row.values()) for row in rows]
