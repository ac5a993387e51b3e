"""What is published of balances, because something changed them or because a month has opened."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection

from services.ledger.balances import changes, rules, store
from services.ledger.balances.rules import ChangedAccount, Openings
from shared.contracts.message import Message


async def openings_noted(opened: Openings, db: Connection, _: datetime) -> list[Message]:
    """Time alone changes a balance: some of these accounts' sums have opened."""
    await changes.note_openings(db, opened)
    return []


async def balances_published(
    changed: Sequence[ChangedAccount], _: None, db: Connection, now: datetime
) -> list[Message]:
    sums = await store.sums_of(db, [one.account_id for one in changed], now)
    await changes.mark_published(db, changed, {account: rules.deficits_of(rows) for account, rows in sums.items()})
    return [message for one in changed for message in rules.news(one, sums[one.account_id])]
