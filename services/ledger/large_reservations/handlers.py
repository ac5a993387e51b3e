"""The three steps of a large reservation: its sums are held, and from then on nobody else can have the amount; its items are allocated,
a bounded number at a time; it is answered.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from asyncpg import Connection

from services.ledger.booking.store import queue
from services.ledger.journal.store import record
from services.ledger.large_reservations import lookups, promises, rules, store
from services.ledger.large_reservations.rules import HeldSums, LargeReservation, Promise, RefusedAfterAll
from services.ledger.reservations.store import add_offsets, offset_pairs
from services.ledger.selections.search import payers_alone
from shared.contracts.ledger import BalanceReserved, ReservationRefused
from shared.contracts.message import Message


async def hold_sums(large: LargeReservation, db: Connection, now: datetime) -> list[Message]:
    command = large.command
    of_products = await promises.of_products(db, command)
    foreseen = rules.month_by_month(command, await promises.free_sums(db, command, now), of_products)
    oldest = await promises.oldest_of(db, command, rules.ending_month(command, foreseen), now)
    payers = await payers_alone(db, command, now)
    free = rules.month_by_month(command, await promises.locked_sums(db, command, now), of_products)
    held = rules.hold(command, payers, free, oldest)
    return await HELD[type(held)](large, held, db, now)


async def _held(large: LargeReservation, held: HeldSums, db: Connection, now: datetime) -> list[Message]:
    await record(db, held.moves(large), now)
    await add_offsets(db, large.account_id, large.reservation_id, held.offsets)
    await promises.promise(db, large, held)
    return []


async def _refused(
    large: LargeReservation, refused: ReservationRefused, db: Connection, now: datetime
) -> list[Message]:
    await store.end(db, large, refused, None, now)
    return [refused]


async def allocate_items(promise: Promise, db: Connection, now: datetime) -> list[Message]:
    """One bounded step over the items of one sum; other workers may be at other sums of the same reservation."""
    picked = await lookups.next_items(db, promise)
    known = await lookups.known_groups(db, promise, picked)
    await store.add_step(db, promise, rules.allocate(promise, picked, known), now)
    return []


async def answer_large(large: LargeReservation, db: Connection, now: datetime) -> list[Message]:
    """Everything was allocated, or something is missing and all goes back."""
    missing_fen = await store.give_back(db, large)
    groups = await store.groups(db, large)
    pairs = await offset_pairs(db, large.account_id, large.reservation_id)
    answer = rules.answer(large, missing_fen, groups, pairs)
    return await ANSWERS[type(answer)](large, answer, db, now)


async def _reserved(large: LargeReservation, reserved: BalanceReserved, db: Connection, now: datetime) -> list[Message]:
    await store.end(db, large, reserved, large.reservation_id, now)
    return [reserved]


async def _refused_after_all(
    large: LargeReservation, refused: RefusedAfterAll, db: Connection, now: datetime
) -> list[Message]:
    await queue(db, refused.back)
    await store.end(db, large, refused.answer, large.reservation_id, now)
    return [refused.answer]


Step = Callable[[LargeReservation, Any, Connection, datetime], Awaitable[list[Message]]]
HELD: dict[type, Step] = {HeldSums: _held, ReservationRefused: _refused}
ANSWERS: dict[type, Step] = {BalanceReserved: _reserved, RefusedAfterAll: _refused_after_all}
