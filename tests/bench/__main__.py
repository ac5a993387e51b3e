"""`make bench` (`ONLY="name name"`): a table, and `var/bench.jsonl`. What is not named stays away; with no name, all there is."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

from shared.runtime import heap
from tests.bench import growth, ingest, large, race, reading, stack
from tests.bench.report import Measured, show
from tests.bench.stand import Stand

Measure = Callable[[Stand], Coroutine[Any, Any, list[Measured]]]

MEASUREMENTS: dict[str, Measure] = {
    "ingest.from_memory": ingest.from_memory,
    "ingest.one_worker": ingest.one_worker,
    "ingest.hot_account": ingest.hot_account,
    "ingest.all_workers": ingest.all_workers,
    "ingest.memory": ingest.memory,
    "ingest.at_10m": growth.at_10m,
    "reserve.1m.10": large.small,
    "reserve.1m.1000": large.small,
    "reserve.1m.all": large.everything,
    "reserve.1m.longest_lock": large.beside_others,
    "reserve.race.one_account": race.one_account,
    "reserve.race.1000_accounts": race.thousand_accounts,
    "release.1m.all": large.beside_others,
    "release.1m.longest_lock": large.beside_others,
    "items.page.1m": reading.looking,
    "items.page.1m.filtered": reading.looking,
    "balance.1m": reading.looking,
    "months.1m": reading.looking,
}


def main() -> int:
    only = set(" ".join(sys.argv[1:]).split())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    names = MEASUREMENTS.keys() | stack.NAMES
    if unknown := only - names:
        sys.stderr.write(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}\n")
        return 2
    wanted = only or names
    stand = Stand()
    heap.freeze()
    try:
        for measure in dict.fromkeys(MEASUREMENTS[name] for name in MEASUREMENTS if name in wanted):
            for measured in uvloop.run(measure(stand)):
                show(measured)
    finally:
        stand.stop()
    if wanted & stack.NAMES:
        for measured in stack.measure(wanted & stack.NAMES):
            show(measured)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
