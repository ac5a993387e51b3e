"""A request asks for money to be held, or for a deficit to be paid. It is answered once, and the same whenever it is asked again."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from asyncpg import Connection

from services.ledger.journal.store import record
from services.ledger.reservations import rules, store
from services.ledger.reservations.rules import Decision, Repeated, TooManyItems
from services.ledger.selections.search import select
from shared.contracts.ledger import OffsetDeficit, ReserveBalance
from shared.contracts.message import Message


async def reserve_balance(command: ReserveBalance, db: Connection, now: datetime) -> list[Message]:
    earlier, reservation_id = await store.begin(db, command)
    selected = await select(db, command, now)
    outcome = rules.reserve(command, earlier, selected, reservation_id, now)
    return await OUTCOMES[type(outcome)](outcome, db, now)


async def offset_deficit(command: OffsetDeficit, db: Connection, now: datetime) -> list[Message]:
    earlier, reservation_id = await store.begin(db, command)
    selected = await select(db, command, now)
    outcome = rules.offset(command, earlier, selected, reservation_id, now)
    return await OUTCOMES[type(outcome)](outcome, db, now)


async def _decided(decision: Decision, db: Connection, now: datetime) -> list[Message]:
    await store.add(db, decision, now)
    await store.add_offsets(db, decision.answer.account_id, decision.reservation_id, decision.offsets)
    await record(db, decision.moves(), now)
    return [decision.answer]


async def _repeated(repeated: Repeated, _: Connection, __: datetime) -> list[Message]:
    return [*repeated.answers]


async def _large(large: TooManyItems, db: Connection, now: datetime) -> list[Message]:
    """The workers of large reservations answer."""
    await store.add_large(db, large, now)
    return []


OUTCOMES: dict[type, Callable[[Any, Connection, datetime], Awaitable[list[Message]]]] = {
    Decision: _decided,
    Repeated: _repeated,
    TooManyItems: _large,
}
