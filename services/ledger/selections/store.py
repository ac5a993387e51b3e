"""What an ask selects, read and locked: accounts in order, within an account oldest first, no more than is needed."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime

from asyncpg import Connection, Record

from services.ledger.intake.rules import BEGINNING
from services.ledger.journal import limits
from services.ledger.netting.rules import POOL, Candidate, Owed, SumKey, bucket_of, by_bucket
from services.ledger.reservations.rules import Ask, NotItem, Selected
from services.ledger.reservations.store import RESERVING
from shared.contracts.ledger import ReserveBalance
from shared.domain.calendar import month_start, next_cycle

COLUMNS = """account_id, item_id, number, subject, content, tax_percent, cycle, spec, occurred_at, opens_at, invoiceable_fen,
    reserved_fen, order_type"""
LOCK = "SELECT pg_advisory_xact_lock($2, hashint8(account_id)) FROM unnest($1::bigint[]) AS a (account_id)"
BESIDE_PROMISES = 3
"""The class of the advisory locks of small reservations beside large ones: taken after `RESERVING` and before any row."""

WAIT, PASS_BY = "", "SKIP LOCKED"
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
Walk = tuple[datetime, datetime, str]
"""Items that occurred from when, till before when, and what to do with those that others have locked."""
Between = tuple[datetime, int, datetime]

Free = dict[SumKey, int]
"""Of the sums on which a large reservation in work has a promise: what is free. Nearly always empty."""


async def select(db: Connection, ask: Ask, now: datetime) -> Selected:
    """Selected numbers also when they are not open or have nothing left, to be able to say why.

    Otherwise the oldest that suffice: for the deficits of each account and subject its own, and of all of them for the amount.
    """
    free, owing = await _promised_and_owing(db, ask)
    while True:
        selected = await _select(db, ask, free, owing, now)
        locked = await _locked_sums(db, free)
        if all(locked[key] >= fen for key, fen in free.items()):
            return selected
        free, owing = locked, True


async def _select(db: Connection, ask: Ask, free: Free, owing: bool, now: datetime) -> Selected:
    owed, pooled = await _owed(db, ask, now) if owing else [], frozenset(ask.pooled)
    if ask.numbers:
        items = await _numbered(db, ask)
        return Selected(items, owed, await _not_items(db, ask, {item.number for item in items}), free, pooled)
    found = await _payers(db, ask, owed, free, now)
    if isinstance(ask, ReserveBalance):
        owed_fen = sum(debt.owed_fen for debt in owed)
        need_fen = None if ask.amount_fen is None else ask.amount_fen + owed_fen
        found |= {item.item_id: item for item in await _oldest(db, ask, need_fen, free, now)}
    return Selected(_in_order(found), owed, free=free, pooled=pooled)


async def payers_alone(db: Connection, ask: ReserveBalance, now: datetime) -> Selected:
    """The deficits of what a large reservation selects, and the oldest items that can pay them.

    From here to the end of the transaction no other reservation of these accounts is under way; intake goes on.
    """
    await db.execute(LOCK, sorted(ask.accounts), RESERVING)
    free, owing = await _promised_and_owing(db, ask)
    owed = await _owed(db, ask, now) if owing else []
    found = await _payers(db, ask, owed, free, now)
    return Selected(_in_order(found), owed, pooled=frozenset(ask.pooled))


async def _promised_and_owing(db: Connection, ask: Ask) -> tuple[Free, bool]:
    """Mostly there is neither. Who chooses beside promises does so alone, or two would see the same as free."""
    row = await db.fetchrow(
        """
        SELECT EXISTS (SELECT FROM remainder WHERE account_id = ANY ($1)) AS promised,
            EXISTS (SELECT FROM item WHERE account_id = ANY ($1) AND invoiceable_fen < 0) AS owing
        """,
        list(ask.accounts),
    )
    assert row is not None
    if not row["promised"]:
        return {}, row["owing"]
    await db.execute(LOCK, sorted(ask.accounts), BESIDE_PROMISES)
    sums = await db.fetch(
        """
        SELECT s.account_id, s.subject, s.cycle, s.content, s.opens_at, s.positive_fen FROM balance_sum s
        WHERE s.account_id = ANY ($1) AND (s.account_id, s.subject, s.cycle, s.content, s.opens_at) IN (
            SELECT account_id, subject, cycle, content, opens_at FROM remainder WHERE account_id = ANY ($1))
        """,
        list(ask.accounts),
    )
    return _free(sums), row["owing"]


async def _locked_sums(db: Connection, free: Free) -> Free:
    """Everybody locks items before sums. Meanwhile a refund may have taken from what was free."""
    if not free:
        return {}
    sums = await db.fetch(
        """
        SELECT account_id, subject, cycle, content, opens_at, positive_fen FROM balance_sum
        WHERE (account_id, subject, cycle, content, opens_at) IN (
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]))
        ORDER BY 1, 2, 3, 4, 5 FOR UPDATE
        """,
        *zip(*(key.columns for key in free), strict=True),
    )
    return _free(sums)


def _free(sums: Sequence[Record]) -> Free:
    return {SumKey(*tuple(row)[:5]): row["positive_fen"] for row in sums}


async def _owed(db: Connection, ask: Ask, now: datetime) -> list[Owed]:
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
        list(ask.accounts),
        now,
        ask.subject,
    )
    return [Owed(**row) for row in rows]


async def _payers(db: Connection, ask: Ask, owed: Sequence[Owed], free: Free, now: datetime) -> dict[int, Candidate]:
    """For each deficit the oldest items that can pay it."""
    pooled = frozenset(ask.pooled)
    found: dict[int, Candidate] = {}
    for (account_id, subject), fen in by_bucket((bucket_of(debt, pooled), debt.owed_fen) for debt in owed).items():
        whose = ask.pooled if account_id == POOL else (account_id,)
        one = ask.model_copy(update={"accounts": whose, "subject": subject})
        found |= {item.item_id: item for item in await _oldest(db, one, fen, free, now)}
    return found


def _in_order(found: Mapping[int, Candidate]) -> list[Candidate]:
    return sorted(found.values(), key=lambda item: (item.account_id, item.occurred_at, item.item_id))


async def _numbered(db: Connection, ask: Ask) -> list[Candidate]:
    rows = await db.fetch(
        f"""
        SELECT {COLUMNS} FROM item
        WHERE account_id = ANY ($1) AND number = ANY ($2) AND ($3::text IS NULL OR subject = $3)
        ORDER BY account_id, occurred_at, item_id LIMIT {limits.ITEMS_MAX + 1} FOR UPDATE
        """,
        list(ask.accounts),
        list(ask.numbers),
        ask.subject,
    )
    return [Candidate(*row.values()) for row in rows]


async def _oldest(db: Connection, ask: Ask, need_fen: int | None, free: Free, now: datetime) -> list[Candidate]:
    """In growing chunks until there is enough: an account may have millions of open items. Only what seems to suffice is locked."""
    found: dict[int, Candidate] = {}
    have_fen, size, free = 0, limits.CHUNK_FIRST, dict(free)
    for account_id in sorted(ask.accounts):
        walks, there_is_fen = await _walks(db, ask, account_id, free, now)
        there_is_fen += have_fen
        for beginning, end, locked in walks:
            after = (beginning, 0)
            while len(found) <= limits.ITEMS_MAX and have_fen < (
                there_is_fen if need_fen is None else min(need_fen, there_is_fen)
            ):
                keys = await _keys(db, ask, account_id, (*after, end), size, free, now)
                if not keys:
                    break
                wanted, last = _enough(keys, None if need_fen is None else need_fen - have_fen, dict(free))
                tried, last = (wanted, last) if locked == WAIT else (keys, keys[-1])
                item_ids = [row["item_id"] for row in tried if row["item_id"] not in found]
                chunk = await _locked(db, account_id, item_ids, len(wanted), locked)
                found |= {item.item_id: item for item in chunk}
                have_fen += sum(_use(item.sum_key, item.free_fen, free) if free else item.free_fen for item in chunk)
                after, size = (last["occurred_at"], last["item_id"]), _next_size(size, len(found), have_fen, need_fen)
    return list(found.values())


async def _walks(db: Connection, ask: Ask, account_id: int, free: Free, now: datetime) -> tuple[list[Walk], float]:
    """Where to look, and how much there is to be found at most.

    Beside what is asked for there may be a million open items: of other months and subjects, or promised to a large reservation and not
    taken yet. So it looks in the months that have something free, and ends when that much is found. What lies outside its own month, as
    a bill may, is looked for only if there is not enough. A promise is on the sum, and any of its items will do: those in which the large
    reservation is busy are waited for only if there is not enough without them, or one would wait for step after step.
    """
    promised = any(key.account_id == account_id for key in free)
    if not (ask.cycles or ask.subject or promised):
        return [(BEGINNING, NEVER, WAIT)], math.inf
    rows = await db.fetch(
        """
        SELECT cycle, sum(positive_fen)::bigint AS fen FROM balance_sum
        WHERE account_id = $1 AND opens_at <= $2 AND ($3::text IS NULL OR subject = $3) AND ($4 = '{}'::text[] OR cycle = ANY ($4))
            AND positive_fen > 0
        GROUP BY cycle ORDER BY cycle
        """,
        account_id,
        now,
        ask.subject,
        list(ask.cycles),
    )
    months = [(month_start(row["cycle"]), month_start(next_cycle(row["cycle"]))) for row in rows]
    walks = [(*month, locked) for locked in ([PASS_BY, WAIT] if promised else [WAIT]) for month in months]
    return [*walks, (BEGINNING, NEVER, WAIT)], sum(row["fen"] for row in rows)


def _next_size(size: int, found: int, have_fen: int, need_fen: int | None) -> int:
    """As many as suffice if the next are like those before, and some more; growing as long as nothing is known of them."""
    if need_fen is None or not have_fen:
        return min(size * limits.CHUNK_GROWS, limits.CHUNK_MAX)
    wanted = (need_fen - have_fen) * found // have_fen
    return max(limits.CHUNK_FIRST, min(wanted + wanted // 8, limits.CHUNK_MAX))


def _use(key: SumKey, fen: int, free: Free) -> int:
    """What of an item can be used, and is from now on: of a sum that is partly promised no more than what is free of it."""
    usable = min(fen, free.get(key, fen))
    if key in free:
        free[key] -= usable
    return usable


def _enough(keys: Sequence[Record], need_fen: int | None, free: Free) -> tuple[list[Record], Record]:
    """As many as have the sum, as far as one can see without locks; and the last that was looked at."""
    wanted, have_fen = [], 0
    for row in keys:
        *key, fen = tuple(row)[1:7]
        usable = _use(SumKey(*key), fen, free) if free else fen
        wanted += [row] if usable else []
        have_fen += usable
        if need_fen is not None and have_fen >= need_fen:
            return wanted, row
    return wanted, keys[-1]


async def _keys(
    db: Connection, ask: Ask, account_id: int, between: Between, size: int, free: Free, now: datetime
) -> Sequence[Record]:
    """Where the next chunk lies, without what is all promised to others.

    Read without locks: one that waits for a lock may come back short, and that is not the end.
    """
    rows: list[Record] = await db.fetch(
        """
        SELECT item_id, account_id, subject, cycle, content, opens_at, invoiceable_fen, occurred_at FROM item
        WHERE account_id = $1 AND (occurred_at, item_id) > ($2, $3) AND occurred_at < $4 AND invoiceable_fen <> 0 AND invoiceable_fen > 0
            AND opens_at <= $5 AND ($6::text IS NULL OR subject = $6) AND ($7 = '{}'::text[] OR cycle = ANY ($7))
            AND ($8 = '{}'::text[] OR product_code = ANY ($8)) AND ($10 = '{}'::text[] OR (subject, cycle, content, opens_at) NOT IN (
                SELECT * FROM unnest($10::text[], $11::text[], $12::text[], $13::timestamptz[])))
        ORDER BY occurred_at, item_id LIMIT $9
        """,
        account_id,
        *between,
        now,
        ask.subject,
        list(ask.cycles),
        list(ask.products),
        size,
        *_columns(key for key, fen in free.items() if key.account_id == account_id and fen <= 0),
    )
    return rows


def _columns(keys: Iterable[SumKey]) -> list[list[str | datetime]]:
    """Subjects, cycles, contents and openings."""
    return [list(column) for column in zip(*(key.columns[1:] for key in keys), strict=True)] or [[], [], [], []]


async def _locked(db: Connection, account_id: int, item_ids: Sequence[int], most: int, locked: str) -> list[Candidate]:
    """In the order of their numbers. Ordered by time instead, and most of them locked, PostgreSQL would walk the whole account."""
    sql = f"""
        SELECT {COLUMNS} FROM unnest($2::bigint[]) WITH ORDINALITY AS wanted (item_id, place) JOIN item USING (item_id)
        WHERE account_id = $1 ORDER BY place LIMIT $3 FOR UPDATE OF item {locked}
        """
    return [Candidate(*row.values()) for row in await db.fetch(sql, account_id, item_ids, most)]


async def _not_items(db: Connection, ask: Ask, found: Set[str]) -> dict[str, NotItem]:
    """What else the numbers stand for."""
    rest = [number for number in ask.numbers if number not in found]
    if not rest:
        return {}
    rows = await db.fetch(
        """
        SELECT number, original_number, NULL::timestamptz AS not_before FROM refund WHERE account_id = ANY ($1) AND number = ANY ($2)
        UNION ALL SELECT number, NULL, earliest_at FROM usage_record WHERE account_id = ANY ($1) AND number = ANY ($2)
        """,
        list(ask.accounts),
        rest,
    )
    return {row["number"]: row["original_number"] or row["not_before"] for row in rows}
