"""What goes on while faults are played: the soak's upstream and customers, who repeat what got no answer, and a backlog if one is asked
for.

Nobody is restarted by hand here: the schedule takes the place of the soak's kills.
"""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from random import Random

from deploy.demo.client import Expectation
from tests.live.actor import Act, Actor
from tests.live.soak import Soak
from tests.nemesis.stack import NemesisStack

ACCOUNTS = range(901, 905)
BACKLOG_ORDERS, SENT_TOGETHER, BACKLOG_REQUESTS, AT_ONCE = 1000, 50, 60, 8
SENT = ("OrderPaid", "BillSettled", "RefundSettled")
LOST = "lost with the standby: "

Say = Callable[[str], None]
Play = Callable[["Load"], Awaitable[None]]


class Load(Soak):
    """On as long as `play` is. With `loses`, what customers miss afterwards is noted as lost and not as wrong."""

    first: tuple[Act, ...] = ()
    customers_of_hot = 3
    stories_min, rest_seconds = 1, 20.0

    def __init__(
        self, stack: NemesisStack, seed: int, play: Play, say: Say, loses: bool = False, accounts: range = ACCOUNTS
    ) -> None:
        super().__init__(stack, seed, 0.0)
        self.accounts, self.hot = accounts, accounts[0]
        self.play, self.say, self.loses, self.played = play, say, loses, False
        self.nemesis = stack
        self.feeds: list[Actor] = []

    @property
    def is_on(self) -> bool:
        return not self.played

    @property
    def documents(self) -> int:
        return sum(self.notes.counts[kind] for kind in SENT)

    async def backlog(self, of: str) -> None:
        """Facts that wait for the database, or requests whose commands wait for Kafka."""
        feed = self.feeds[-1]
        if of == "database":
            for _ in range(BACKLOG_ORDERS // SENT_TOGETHER):
                await asyncio.gather(*(feed.send(feed.document()) for _ in range(SENT_TOGETHER)))
            return
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask() -> None:
            async with gate:
                await feed.request(amount_fen=feed.rng.randrange(1, 1000), wait_seconds=0)

        await asyncio.gather(*(ask() for _ in range(BACKLOG_REQUESTS)))

    async def _open(self) -> tuple[list[Actor], list[tuple[Actor, list[Act]]]]:
        self.feeds, customers = await super()._open()
        self.say("everybody is ready")
        return self.feeds, customers

    async def _kill(self, rng: Random) -> None:  # noqa: ARG002 - the schedule has its own
        try:
            await self.play(self)
        finally:
            self.played = True

    async def _weigh(self) -> None:
        """How much memory is used is not asked here."""

    async def _heal(self) -> None:
        """Everything is as it was, and everybody says so, without anybody having been restarted by hand."""
        for wish in (self.nemesis.ready, self.nemesis.healthy):
            await self._note(wish)
        self.say("healed, and everybody is well")

    async def _compare(self) -> None:
        self.say("at rest")
        await super()._compare()
        self.say("compared")
        await self._note(self.nemesis.healthy)

    async def _note(self, wish: Callable[[], Awaitable[None]]) -> None:
        try:
            await wish()
        except Expectation as error:
            self.notes.failures.append(f"not at rest: {error}")

    async def _buy(self, actor: Actor, stories: Sequence[Act]) -> None:
        if not self.loses:
            await super()._buy(actor, stories)
            return
        for story in cycle(stories):
            if not self.is_on:
                return
            try:
                await story(actor)
            except (Expectation, TypeError, KeyError):  # what it was about is not there any more
                last = traceback.format_exc().splitlines()[-1]
                self.notes.failures.append(f"{LOST}{story.__name__} of {actor.account_id}: {last}")
            self.notes.counts[story.__name__] += 1

    def told(self) -> str:
        done = Counter({kind: self.notes.counts[kind] for kind in (*SENT, "requests asked", "cancels")})
        return ", ".join(f"{many} {what}" for what, many in done.items())
