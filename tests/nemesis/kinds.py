"""Every kind of fault by its name: how long it lasts, what is drawn for it, and what plays it.

name                    | what happens
brokers apart           | two brokers do not reach each other, as brokers and as controllers
in-sync below minimum   | two brokers are away, or nobody copies from anybody: records are not confirmed
broker killed           | one broker ends at once, and is started again
primary lost            | PostgreSQL's primary dies, its synchronous standby takes over
standby behind          | the same with an asynchronous standby that has not heard of the last commits
standby silent          | the synchronous standby says nothing, so no commit ends
clock stepped           | the wall clock of one process jumps, and comes back
long reader             | somebody reads all tables in one transaction while partitions are made and dropped
disk full               | no room is left where PostgreSQL writes
two relays              | whoever holds the relay's lease stands still until another has taken over, and then goes on
outage                  | Kafka or PostgreSQL is away for a minute while work piles up
commit outcome unknown  | a COMMIT takes place and its answer is lost
old code                | one replica of each service is of an earlier commit
slow links              | each piece of bytes takes its time
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.nemesis.brokers import NUMBERS, PAIRS
from tests.nemesis.faults import broker_faults, database_faults, process_faults
from tests.nemesis.faults.fault import Fault

CUT_OR_HANG = ("cut", "hang")
PROCESSES = ("title", "ledger", "ledger-2", "invoicing", "invoicing-2", "notification-2", "gateway")
WITH_RELAY = ("ledger", "invoicing", "title")
CLOCK_STEPS_SECONDS = (-3600, -240, -5, 5, 240, 3600)
OUTAGE_SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """`loses`: acknowledged commits may be gone afterwards."""

    plays: type[Fault]
    seconds: tuple[float, float]
    draw: Callable[[Random], dict[str, Any]] = lambda _: {}
    loses: bool = False
    fills_the_disk: bool = False


KINDS: dict[str, Kind] = {
    "brokers apart": Kind(
        broker_faults.Apart, (6, 15), lambda rng: {"pair": rng.choice(PAIRS), "how": rng.choice(CUT_OR_HANG)}
    ),
    "in-sync below minimum": Kind(
        broker_faults.BelowMinimum,
        (8, 15),
        lambda rng: {"brokers": tuple(sorted(rng.sample(NUMBERS, 2))), "how": rng.choice(("kill", *CUT_OR_HANG))},
    ),
    "broker killed": Kind(broker_faults.Killed, (3, 12), lambda rng: {"broker": rng.choice(NUMBERS)}),
    "primary lost": Kind(database_faults.PrimaryLost, (1, 6)),
    "standby behind": Kind(
        database_faults.StandbyBehind, (1, 4), lambda rng: {"behind_seconds": rng.randint(2, 5)}, loses=True
    ),
    "standby silent": Kind(database_faults.StandbySilent, (5, 15)),
    "clock stepped": Kind(
        process_faults.ClockStepped,
        (5, 15),
        lambda rng: {"process": rng.choice(PROCESSES), "by_seconds": rng.choice(CLOCK_STEPS_SECONDS)},
    ),
    "long reader": Kind(database_faults.LongReader, (10, 20)),
    "disk full": Kind(database_faults.DiskFull, (5, 12), fills_the_disk=True),
    "two relays": Kind(process_faults.TwoRelays, (12, 18), lambda rng: {"service": rng.choice(WITH_RELAY)}),
    "outage": Kind(
        database_faults.Outage,
        (OUTAGE_SECONDS, OUTAGE_SECONDS),
        lambda rng: {"of": rng.choice(("kafka", "database")), "how": rng.choice(CUT_OR_HANG)},
    ),
    "commit outcome unknown": Kind(
        database_faults.CommitUnknown, (6, 15), lambda rng: {"every": rng.choice((3, 7, 20))}
    ),
    "old code": Kind(process_faults.OldCode, (5, 10), lambda rng: {"replica": rng.choice((1, 2))}),
    "slow links": Kind(
        broker_faults.Slow,
        (6, 15),
        lambda rng: {"of": rng.choice(("kafka", "database")), "by_ms": rng.choice((20, 100, 300))},
    ),
}
