"""`make verify`: every invariant against the running stack. Waits until the stack has come to rest; exit status 0 only if all hold."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Collection

from deploy.verify import intake, invoices, ledger, messages, records
from deploy.verify.world import TOPICS, UPSTREAM, World, endpoints_file, live

REST_SECONDS = 60.0

Check = Callable[[World], Awaitable[list[str]]]
OURS = tuple(topic for topic in TOPICS if topic not in UPSTREAM)
FROM_THE_BEGINNING: dict[Check, Collection[str]] = {
    intake.every_effect_once: ("billing.events",),
    intake.every_refund_once: ("billing.events",),
    intake.cash_equals_top_ups: ("account.events",),
    messages.nothing_committed_left_unpublished: OURS,
    messages.order_per_key: OURS,
}
"""What nobody can judge by the rest of a topic of which the first records have left."""
CHECKS: tuple[Check, ...] = (*intake.CHECKS, *ledger.CHECKS, *invoices.CHECKS, *messages.CHECKS, *records.CHECKS)


async def violations(world: World, checks: tuple[Check, ...] = CHECKS) -> dict[str, list[str]]:
    """By the name of the invariant; empty when all hold."""
    found = {check.__name__: await check(world) for check in checks if not unknown(world, check)}
    return {name: texts for name, texts in found.items() if texts}


def unknown(world: World, check: Check) -> list[str]:
    """The topics that would have to be whole for it, and are not."""
    return [topic for topic in FROM_THE_BEGINNING.get(check, ()) if topic in world.shortened]


async def run() -> int:
    path = endpoints_file()
    if not path.exists():
        sys.stderr.write("nothing is running here: type make run\n")
        return 2
    endpoints = json.loads(path.read_text(encoding="utf-8"))
    deadline = time.monotonic() + REST_SECONDS
    while True:
        world = await live(endpoints, path.parent / "log")
        try:
            found = await violations(world)
        finally:
            await world.close()
        if not found or time.monotonic() > deadline:
            break
        await asyncio.sleep(1)  # what is under way comes to rest; only then do all invariants have to hold
    for check in CHECKS:
        texts, shortened = found.get(check.__name__, []), unknown(world, check)
        verdict = "?    " if shortened else "WRONG" if texts else "ok   "
        sys.stdout.write(f"{verdict} {check.__name__.replace('_', ' ')}\n")
        texts += [f"not judged: the first records of {', '.join(shortened)} have left"] if shortened else []
        for text in texts[:10]:
            sys.stdout.write(f"        {text}\n")
    seen = sum(len(world.records(topic)) for topic in world.topics)
    left_open = sum(bool(unknown(world, check)) for check in CHECKS)
    told = f", {left_open} not judged" if left_open else ""
    sys.stdout.write(f"{len(CHECKS)} invariants over {seen} records, {len(found)} violated{told}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(run()))
