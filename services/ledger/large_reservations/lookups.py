"""What a step reads before it decides, where reading once is not enough: others may have changed it while it waited for a lock."""

from collections.abc import Sequence

from asyncpg import Connection

from services.ledger.large_reservations import store
from services.ledger.large_reservations.rules import PickedItem, Promise, prints_differently
from shared.contracts.ledger import Group


async def next_items(db: Connection, promise: Promise) -> list[PickedItem]:
    """None only when there are none: those that were waited for may have been taken by others, and then others are looked for."""
    picked = await store.pick(db, promise)
    while not picked and await store.has_open_items(db, promise):
        picked = await store.pick(db, promise)
    return picked


async def known_groups(db: Connection, promise: Promise, picked: Sequence[PickedItem]) -> list[Group]:
    """All groups of the reservation. When one is to be added, nobody else adds one meanwhile."""
    known = await store.groups(db, promise.reservation)
    if not prints_differently(promise, picked, known):
        return known
    await store.lock_numbering(db, promise.reservation)
    return await store.groups(db, promise.reservation)
