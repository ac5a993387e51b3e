"""`python -m tests.nemesis --seeds N`, or `--seed N`: schedules one after the other, each on a stack of its own."""

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial

from tests.nemesis.play import Verdict, played, stack_for
from tests.nemesis.schedule import drawn

SHOWN_MAX = 20


def run(seeds: Iterable[int]) -> int:
    total, schedules = Verdict(), 0
    for seed in seeds:
        schedule = drawn(seed)
        _say(str(schedule))
        say = partial(_say_at, time.monotonic())
        with stack_for(schedule) as stack:
            verdict = asyncio.run(played(stack, schedule, say))
        _say(*(f"  lost, as expected: {text[:300]}" for text in verdict.lost[:SHOWN_MAX]))
        _say(*(f"  VIOLATION: {text}" for text in verdict.violations[:SHOWN_MAX]))
        schedules += 1
        total.faults += verdict.faults
        total.documents += verdict.documents
        total.violations += verdict.violations
        total.skipped += verdict.skipped
    _say(*(f"skipped {many} times: {kind}" for kind, many in Counter(total.skipped).items()))
    _say(
        f"{schedules} schedules, {total.faults} faults, {total.documents} documents, {len(total.violations)} violations"
    )
    return 1 if total.violations else 0


def _say_at(began: float, text: str) -> None:
    _say(f"{time.monotonic() - began:5.0f} s  {text}")


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of our own clients; that brokers are away is meant
    return run(range(1, asked.seeds + 1) if asked.seed is None else [asked.seed])


if __name__ == "__main__":
    raise SystemExit(main())
