"""`make verify`: every invariant against the running stack. Waits until the stack has come to rest; exit status 0 only if all hold."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from deploy.verify import intake, invoices, ledger, messages, records
from deploy.verify.world import World, endpoints_file, live

REST_SECONDS = 60.0

Check = Callable[[World], Awaitable[list[str]]]
CHECKS: tuple[Check, ...] = (*intake.CHECKS, *ledger.CHECKS, *invoices.CHECKS, *messages.CHECKS, *records.CHECKS)


async def violations(world: World, checks: tuple[Check, ...] = CHECKS) -> dict[str, list[str]]:
    """By the name of the invariant; empty when all hold."""
    found = {check.__name__: await check(world) for check in checks}
    return {name: texts for name, texts in found.items() if texts}


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
        texts = found.get(check.__name__, [])
        sys.stdout.write(f"{'ok   ' if not texts else 'WRONG'} {check.__name__.replace('_', ' ')}\n")
        for text in texts[:10]:
            sys.stdout.write(f"        {text}\n")
    seen = sum(len(world.records(topic)) for topic in world.topics)
    sys.stdout.write(f"{len(CHECKS)} invariants over {seen} records, {len(found)} violated\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(run()))
