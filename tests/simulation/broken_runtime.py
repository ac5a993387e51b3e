"""Broken variants of the runtime: of inbox, offsets, parking, redrive, relay and locks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Connection

from shared.runtime import outbox, parked, store
from shared.runtime.clock import Clock
from shared.runtime.database import Database
from shared.runtime.entries import Entry
from shared.runtime.envelope import Envelope
from shared.runtime.handling import Consumer
from shared.runtime.outbox import Relay
from shared.runtime.parking import Parking
from shared.runtime.store import Tally
from shared.runtime.transport import Assigned, Partition, Record
from tests.simulation.mutant import Mutant, Rewritten

_real_enter_inbox = store.enter_inbox
_real_mark = Relay._mark


# records


async def _enter_inbox(
    db: Connection, consumer: str, envelope: Envelope, record: Record, at: datetime, remembered: bool
) -> bool:
    await _real_enter_inbox(db, consumer, envelope, record, at, remembered)
    return True


async def _same_content(_: Connection, __: Envelope, ___: datetime) -> bool:
    """Another event under an old id is taken for a repeat, and nobody is told."""
    return True


async def _start_at_the_higher(self: Consumer, assigned: Sequence[Assigned]) -> Mapping[Partition, int]:
    async with self._database.read() as db:
        stored = await store.stored_offsets(db, self.name)
    return {part.partition: max(stored.get(part.partition, 0), part.committed or 0) for part in assigned}


def _never(_: BaseException) -> bool:
    return False


async def _discard(*_: object) -> bool:
    return True


async def _count_and_pass(self: Consumer, entry: Entry) -> None:
    """Whatever fails once is passed over."""
    async with self._database.transaction() as db:
        await store.move_offsets(db, self.name, [Tally(entry.record.partition, entry.record.offset + 1, 1, 0, 0, 0)])


async def _mark_only(
    database: Database, _: Mapping[str, Consumer], parked_id: int, by: str, clock: Clock, __: Parking
) -> parked.Status:
    async with database.transaction() as db:
        await parked._change(db, parked_id, "redriven", by, "", clock.real())
    return "redriven"


# messages


async def _mark_then_send(self: Relay) -> bool:
    if not await self._hold_lease():
        return False
    async with self._database.transaction() as db:
        rows = await db.fetch(
            "UPDATE runtime.outbox SET sent_at = now() WHERE sent_at IS NULL RETURNING outbox_id, records"
        )
    for row in sorted(rows, key=lambda one: one["outbox_id"]):
        await self._transport.send(outbox.outgoing_of(row["records"]))
    return False


async def _no_lease(self: Relay) -> bool:
    self._held_until = self._clock.monotonic() + outbox.LEASE_SECONDS
    return True


async def _mark_all(self: Relay, rows: Sequence[Any], ends: Sequence[int], confirmed: int) -> bool:  # noqa: ARG001
    """One confirmation is taken for all."""
    return await _real_mark(self, rows, [confirmed] * len(rows), confirmed)


async def _follow_cursor(self: Relay) -> bool:
    """Remembers how far it came; a row whose transaction commits late lies behind it for ever."""
    if not await self._hold_lease():
        return False
    async with self._database.transaction() as db:
        cursor = await db.fetchval("SELECT max(outbox_id) FROM runtime.outbox WHERE sent_at IS NOT NULL") or 0
        rows = await db.fetch(
            "SELECT outbox_id, records FROM runtime.outbox WHERE outbox_id > $1 ORDER BY outbox_id", cursor
        )
    for row in rows:
        await self._transport.send(outbox.outgoing_of(row["records"]))
        async with self._database.transaction() as db:
            await db.execute("UPDATE runtime.outbox SET sent_at = now() WHERE outbox_id = $1", row["outbox_id"])
    return False


MUTANTS: dict[str, Mutant | Rewritten] = {
    "inbox off": Mutant("shared.runtime.store.enter_inbox", _enter_inbox, "nothing_is_said_twice", 25),
    "other content passes": Mutant(
        "shared.runtime.store.seen_again", _same_content, "every_event_is_accounted_for", 11
    ),
    "start at the higher offset": Mutant(
        "shared.runtime.handling.Consumer.on_assigned", _start_at_the_higher, "every_event_is_accounted_for", 8
    ),
    "nothing is the system's": Mutant(
        "shared.runtime.blame.is_the_systems", _never, "nothing_of_our_own_is_parked", 25
    ),
    "park discards": Mutant("shared.runtime.store.park", _discard, "every_unreadable_record_is_parked", 25),
    "pass over what fails": Mutant(
        "shared.runtime.handling.Consumer._carefully", _count_and_pass, "every_event_is_accounted_for", 25
    ),
    "redrive only marks": Mutant("shared.runtime.parked.redrive", _mark_only, "what_was_redriven_took_effect", 1),
    "mark before publish": Mutant(
        "shared.runtime.outbox.Relay.step", _mark_then_send, "nothing_committed_left_unpublished", 25
    ),
    "cursor outbox": Mutant(
        "shared.runtime.outbox.Relay.step", _follow_cursor, "nothing_committed_left_unpublished", 1
    ),
    "one confirmation for all": Mutant(
        "shared.runtime.outbox.Relay._mark", _mark_all, "nothing_committed_left_unpublished", 25
    ),
}
