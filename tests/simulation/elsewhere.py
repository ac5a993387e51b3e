"""Broken variants that the simulation does not see, or not by what they break: transactions run whole there, one after the other or side
by side, never inside each other; and what goes out twice under one key is no harm. Each is killed by the test that is named.
"""

from dataclasses import dataclass
from datetime import datetime

from asyncpg import Connection

from shared.runtime import store
from shared.runtime.envelope import Envelope
from shared.runtime.transport import Record
from tests.simulation.broken_runtime import MUTANTS, _never, _no_lease
from tests.simulation.mutant import LOCKS, Mutant, Rewritten

RUNTIME, LEDGER, INVOICING = (f"tests/integration/{room}" for room in ("runtime", "ledger", "invoicing"))


@dataclass(frozen=True)
class Elsewhere:
    change: Mutant | Rewritten
    killed_by: str
    """A test, as pytest names it."""


async def _look_then_insert(
    db: Connection, consumer: str, envelope: Envelope, record: Record, at: datetime, remembered: bool
) -> bool:
    """Two owners of a partition both look before one of them has committed."""
    query = "SELECT true FROM runtime.inbox WHERE source = $1 AND event_id = $2"
    if await db.fetchval(query, *envelope.key):
        return False
    await _real_enter_inbox(db, consumer, envelope, record, at, remembered)
    return True


_real_enter_inbox = store.enter_inbox
NO_LEASES = Rewritten({r"\(t\.lease_until IS NULL OR t\.lease_until < [^)]*\)": "true"}, "", 0)
NO_LOCKS = Rewritten(LOCKS, "", 0)

ELSEWHERE: dict[str, Elsewhere] = {
    "workers without leases": Elsewhere(
        NO_LEASES,
        f"{RUNTIME}/test_leases.py::test_a_lease_keeps_others_away_until_it_ends_and_then_the_epoch_is_another",
    ),
    "no locks: items": Elsewhere(NO_LOCKS, f"{LEDGER}/test_races.py::test_requests_for_orders_that_overlap"),
    "nothing is transient": Elsewhere(
        Mutant("shared.runtime.blame.is_transient", _never, "", 0),
        f"{RUNTIME}/test_handling.py::test_transient_errors_are_waited_out_and_never_counted",
    ),
    "relay without lease": Elsewhere(
        Mutant("shared.runtime.outbox.Relay._hold_lease", _no_lease, "", 0),
        f"{RUNTIME}/test_relay.py::test_a_relay_whose_wall_clock_is_ahead_and_that_dies_is_followed_as_soon_as_any_other",
    ),
    "look, then insert": Elsewhere(
        Mutant("shared.runtime.store.enter_inbox", _look_then_insert, "", 0),
        f"{RUNTIME}/test_life.py::test_two_owners_of_a_partition_at_once_have_one_effect",
    ),
    "start at the higher offset": Elsewhere(
        MUTANTS["start at the higher offset"],
        "tests/integration/runtime/test_handling.py::test_reading_starts_at_the_lower_of_both_offsets",
    ),
}
