"""`make bench` (`ONLY=name`): a table, and `var/bench.jsonl`."""

import asyncio
import sys

import structlog

from tests.bench import ingest, stack
from tests.bench.report import show
from tests.databases import Databases
from tests.servers import start_postgres

INGEST = {"ingest.one_worker": ingest.ACCOUNTS, "ingest.hot_account": 1}
STACK = {
    "stack.cold_start",
    "stack.warm_start",
    "stack.ready",
    "stack.memory",
    "gateway.balance",
    "request.answer",
    "request.issued",
}


def main() -> int:
    only = set(sys.argv[1:])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if unknown := only - INGEST.keys() - STACK:
        sys.stderr.write(
            f"no such measurement: {', '.join(unknown)}; there are {', '.join(sorted(INGEST.keys() | STACK))}\n"
        )
        return 2
    wanted = only or INGEST.keys() | STACK
    if wanted & INGEST.keys():
        server = start_postgres()
        try:
            for name in sorted(wanted & INGEST.keys()):
                show(asyncio.run(ingest.measure(Databases(server.dsn), name, INGEST[name])))
        finally:
            server.stop()
    if wanted & STACK:
        for measured in stack.measure(wanted & STACK):
            show(measured)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
