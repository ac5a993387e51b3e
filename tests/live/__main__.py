"""`python -m tests.live --seconds N`: a soak of the ledger; a line a minute, then what was done and what was wrong with it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator

from tests.live.notes import Notes
from tests.live.soak import Soak
from tests.live.stack import LiveStack

MINUTE_SECONDS = 60.0
SHOWN_MAX = 20


async def soak_and_report(soak: Soak) -> None:
    reporting = asyncio.create_task(_report(soak.notes))
    await soak.run()
    reporting.cancel()
    _say(*table(soak.notes))


async def _report(notes: Notes) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(MINUTE_SECONDS)  # a line a minute
        _say(f"{time.monotonic() - began:5.0f} s  {', '.join(summary(notes))}")


def summary(notes: Notes) -> Iterator[str]:
    for what in ("events", "requests asked", "cancels", "restarts"):
        yield f"{notes.counts[what]} {what}"
    yield f"{notes.refusals.total()} refusals"
    yield f"{len(notes.failures)} violations"
    yield from notes.memory[-1:]


def table(notes: Notes) -> Iterator[str]:
    parts = {"Done": notes.counts, "Refused over HTTP": notes.refusals, "Requests": notes.requests}
    for title, counted in parts.items():
        yield title
        yield from (f"  {many:>8,}  {what}" for what, many in sorted(counted.items()))
    yield from ("Memory (PSS)", *(f"            {one}" for one in notes.memory))
    yield from (f"{len(notes.failures)} violations", *notes.failures[:SHOWN_MAX])


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    stack = LiveStack.start()
    try:
        soak = Soak(stack, asked.seed, asked.seconds)
        asyncio.run(soak_and_report(soak))
    finally:
        stack.stop()
    return 1 if soak.notes.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
