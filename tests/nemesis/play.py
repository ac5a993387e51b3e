"""One schedule on one stack: faults under load, then everything is healed, comes to rest, and is judged."""

import asyncio
import contextlib
import subprocess
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import folders
from tests.nemesis.faults.fault import Skipped
from tests.nemesis.kinds import KINDS
from tests.nemesis.load import ACCOUNTS, LOST, Load, Say
from tests.nemesis.schedule import Schedule, Step
from tests.nemesis.stack import NemesisStack

DISK_BYTES = 700 << 20
LOST_BY_CHECK = frozenset(
    {
        # Between us and those who lost nothing: topics and the tax platform.
        *("nothing_published_that_was_not_committed", "every_invoice_is_known", "red_is_the_negative_of_its_blue"),
        *("money_reconciles_with_the_platform", "every_call_has_an_earlier_attempt", "every_invoice_was_told"),
        # What was done and forgotten is done again, and told again under a new id; it may come out otherwise.
        *("nothing_is_said_twice", "nothing_of_our_own_is_parked", "a_terminal_request_holds_nothing"),
    }
)
"""Invariants that a promotion may break which loses commits. All others hold: nothing is counted, issued or booked twice."""


@dataclass
class Verdict:
    faults: int = 0
    documents: int = 0
    violations: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Expected after a promotion that loses commits."""
    skipped: list[str] = field(default_factory=list)


@dataclass
class Player:
    stack: NemesisStack
    schedule: Schedule
    say: Say
    verdict: Verdict = field(default_factory=Verdict)

    async def play(self, load: Load) -> None:
        for act in self.schedule.acts():
            await asyncio.gather(*(self._step(step, load) for step in act))

    async def _step(self, step: Step, load: Load) -> None:
        fault = KINDS[step.kind].plays(self.stack, step.how, load.backlog)
        await asyncio.sleep(step.after_seconds)  # as the schedule says
        try:
            await fault.begin()
        except Skipped as why:
            self.say(f"skipped: {step.kind}: {why}")
            self.verdict.skipped.append(step.kind)
            return
        self.verdict.faults += 1
        self.say(f"began   {step.kind}")
        try:
            await asyncio.sleep(fault.lasts(step.seconds))  # as the schedule says
        finally:
            said = await fault.heal()
        self.say(f"healed  {step.kind}: {said}")


async def played(stack: NemesisStack, schedule: Schedule, say: Say, accounts: range = ACCOUNTS) -> Verdict:
    """Plays it and judges what became of it. The stack is healed afterwards."""
    player = Player(stack, schedule, say)
    verdict = player.verdict
    loses = not schedule.synchronous
    stack.may_be_lost = LOST_BY_CHECK if loses else frozenset()
    load = Load(stack, schedule.seed, player.play, say, loses, accounts)
    load.shared.patience_seconds += sum(KINDS[step.kind].plays.lasts(step.seconds) for step in schedule.steps)
    tending = asyncio.create_task(stack.tend())
    try:
        await load.run()
    except Exception:  # noqa: BLE001 - the schedule failed, and the next one may be played
        verdict.violations.append(traceback.format_exc())
    finally:
        tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tending
    for text in load.notes.failures:
        (verdict.lost if loses and is_loss(text) else verdict.violations).append(text)
    verdict.documents = load.documents
    say(f"under load: {load.told()}; ended by themselves: {', '.join(stack.ended) or 'nobody'}")
    return verdict


def is_loss(text: str) -> bool:
    """Whether it says that something is gone. Anything else is wrong whatever was lost."""
    gone = text.startswith(LOST) or " asked for others than " in text or '"code":"NOT_FOUND"' in text
    return gone or text.partition(":")[0] in LOST_BY_CHECK


@contextmanager
def stack_for(schedule: Schedule) -> Iterator[NemesisStack]:
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk()) if schedule.needs_a_small_disk else None
        running = NemesisStack.begin(schedule.synchronous, disk)
        stack.callback(running.stop)
        yield running


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A tmpfs of its own; nothing where that cannot be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="kaipiao-small-disk-"))
    argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs", str(folder)]
    mounted = folders.is_root() and subprocess.run(argv, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()
