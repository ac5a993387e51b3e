"""The search itself: rules say where to look next and what to lock, the store looks. Nothing is written here."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.journal.store import locked_sums
from services.ledger.netting.rules import Candidate, Owed
from services.ledger.selections import rules, store
from services.ledger.selections.rules import Free, Plan, Search, Selected
from shared.contracts.ledger import ReserveBalance, Selection


async def select(db: Connection, command: Selection, now: datetime) -> Selected:
    """Selected numbers also when they are not open or have nothing left, to be able to say why.

    Otherwise the oldest that suffice: for the deficits of each account and subject its own, and of all of them for the amount. Sums are
    locked after items, like everywhere: if meanwhile a refund took from what was free of a promised sum, it is chosen again.
    """
    free, owing = await _promised_and_owing(db, command)
    while True:
        selected = await _select(db, command, free, owing, now)
        locked = await locked_sums(db, free) if free else {}
        if all(locked[key] >= fen for key, fen in free.items()):
            return selected
        free, owing = locked, True


async def payers_alone(db: Connection, command: ReserveBalance, now: datetime) -> Selected:
    """The deficits of what a large reservation selects, and the oldest items that can pay them.

    From here to the end of the transaction no other reservation of these accounts is under way; intake goes on.
    """
    await store.lock_accounts(db, command.accounts, store.RESERVING)
    free, owing = await _promised_and_owing(db, command)
    owed = await store.owed(db, command, now) if owing else []
    found = await _payers(db, command, owed, free, now)
    return Selected(rules.in_order(found), owed, pooled=frozenset(command.pooled))


async def _promised_and_owing(db: Connection, command: Selection) -> tuple[Free, bool]:
    """Mostly there is neither. Who chooses beside promises does so alone, or two would see the same as free."""
    promised, owing = await store.promised_and_owing(db, command.accounts)
    if not promised:
        return {}, owing
    await store.lock_accounts(db, command.accounts, store.BESIDE_PROMISES)
    return await store.free_of_promised(db, command.accounts), owing


async def _select(db: Connection, command: Selection, free: Free, owing: bool, now: datetime) -> Selected:
    owed = await store.owed(db, command, now) if owing else []
    pooled = frozenset(command.pooled)
    if command.numbers:
        items = await store.numbered(db, command)
        found_numbers = {item.number for item in items}
        others = [number for number in command.numbers if number not in found_numbers]
        return Selected(items, owed, await store.not_items(db, command, others), free, pooled)
    found = await _payers(db, command, owed, free, now)
    if isinstance(command, ReserveBalance):
        need_fen = None if command.amount_fen is None else command.amount_fen + sum(debt.owed_fen for debt in owed)
        found |= await _oldest(db, command, need_fen, free, now)
    return Selected(rules.in_order(found), owed, free=free, pooled=pooled)


async def _payers(
    db: Connection, command: Selection, owed: Sequence[Owed], free: Free, now: datetime
) -> dict[int, Candidate]:
    """For each deficit the oldest items that can pay it."""
    found: dict[int, Candidate] = {}
    for payers, fen in rules.payers(command, owed):
        found |= await _oldest(db, payers, fen, free, now)
    return found


async def _oldest(
    db: Connection, command: Selection, need_fen: int | None, free: Free, now: datetime
) -> dict[int, Candidate]:
    search = Search(need_fen, free)
    for account_id in sorted(command.accounts):
        plan = await _plan(db, command, account_id, free, now)
        there_is_fen = search.have_fen + plan.there_is_fen
        for walk in plan.walks:
            after = (walk.begins_at, 0)
            while search.wants_more(there_is_fen):
                used_up = search.used_up(account_id)
                seen = await store.seen_items(db, command, account_id, after, walk, search.chunk_items, used_up, now)
                if not seen:
                    break
                choice = search.choose(seen, walk)
                search = search.having(await store.locked_items(db, account_id, choice, walk))
                after = choice.after
    return dict(search.found)


async def _plan(db: Connection, command: Selection, account_id: int, free: Free, now: datetime) -> Plan:
    if not rules.goes_by_month(command, account_id, free):
        return rules.WHOLE_ACCOUNT
    months = await store.free_months(db, command, account_id, now)
    return rules.month_by_month(months, rules.is_promised(account_id, free))
