"""A soak of the ledger in the live stack: accounts pay, refund, ask and cancel side by side while services are killed.
Afterwards everything comes to rest, and the ledger must agree with its journal, with the checker, and with what was sent."""

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import cycle, starmap
from pathlib import Path
from random import Random

from aiokafka import AIOKafkaProducer

from deploy.cli.ledger import compare, with_database
from deploy.demo.client import Expectation, eventually
from shared.runtime.dsn import database_of
from tests.live.actor import CODES_OF_LEDGER, FEED, STORIES, Act, Actor
from tests.live.notes import Shared, accounted_fen
from tests.live.stack import LiveStack, registered

OTHERS = ("title", "invoicing", "notification", "gateway", "tax_platform")
STRIDE = 5
REASONS = {*CODES_OF_LEDGER, "BUYER_TAX_ID", "CANCELLED", "REFUND_BEFORE_ISSUE", None}


class Soak:
    """One run. The seed decides who does what in which order; how far everybody comes is up to the machine."""

    accounts, hot, customers_of_hot = range(901, 907), 901, 4
    first: tuple[Act, ...] = (Actor.ask_for_a_large_month,)
    stories_min, rest_seconds = 3, 40.0

    def __init__(self, stack: LiveStack, seed: int, seconds: float) -> None:
        self.stack, self.seconds, self.rng, self.deadline = stack, seconds, Random(seed), 0.0
        self.shared = Shared(stack, self.rng)
        self.notes = self.shared.notes

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.deadline

    async def run(self) -> None:
        feeds, customers = await self._open()
        work = [self._weigh(), self._kill(Random(self.rng.random()))]
        work += [*map(self._feed, feeds), *starmap(self._buy, customers)]
        self.deadline = time.monotonic() + self.seconds
        self.shared.producer = AIOKafkaProducer(bootstrap_servers=self.stack.kafka.bootstrap, enable_idempotence=True)
        async with self.shared.producer:
            ended = await asyncio.gather(*work, return_exceptions=True)
        await self._heal()
        ended += await asyncio.gather(*map(self._rest, feeds), return_exceptions=True)
        self.notes.failures += ["".join(traceback.format_exception(one)) for one in ended if one is not None]
        await self._compare()
        await asyncio.gather(*map(self._close_books, feeds))
        await asyncio.gather(*(one.close() for one in (*feeds, *(one for one, _ in customers))))

    async def _open(self) -> tuple[list[Actor], list[tuple[Actor, list[Act]]]]:
        """For each account one who feeds it, and customers. They begin at different stories, and so soon have told all."""
        await self.stack.ready()
        await self.stack.publish("account.events", map(registered, self.accounts))
        stories, feeds = self.rng.sample(STORIES, len(STORIES)), []
        customers: list[tuple[Actor, list[Act]]] = []
        for account_id in self.accounts:
            known = await self.stack.customer(account_id)
            await eventually("the title", partial(known.get, "/titles"))
            await known.close()
            feeds.append(Actor(self.shared, known, "U"))
            for number in range(self.customers_of_hot if account_id == self.hot else 1):
                customers.append((Actor(self.shared, known, f"C{number}"), stories))
                stories = stories[STRIDE:] + stories[:STRIDE]
        customers[0] = (customers[0][0], [*self.first, *customers[0][1]])
        return feeds, customers

    async def _heal(self) -> None:
        await self.stack.end_restarts()

    async def _feed(self, actor: Actor) -> None:
        await actor.settle()
        pause_seconds = 0.2 if actor.account_id == self.hot else 1
        while self.is_on:
            await actor.rng.choice(FEED)(actor)
            await asyncio.sleep(actor.rng.uniform(0, pause_seconds))  # people buy when they like

    async def _buy(self, actor: Actor, stories: Sequence[Act]) -> None:
        for done, story in enumerate(cycle(stories)):
            if not self.is_on and done >= self.stories_min:
                return
            await story(actor)
            self.notes.counts[story.__name__] += 1
            await asyncio.sleep(actor.rng.uniform(0, 0.3))  # the pause of a simulated customer

    async def _kill(self, rng: Random) -> None:
        """Each in turn, the ledger first."""
        for name in cycle(["ledger", *rng.sample(OTHERS, len(OTHERS))]):
            await asyncio.sleep(rng.uniform(0.5, 1.5) * max(3.0, self.seconds / 40))  # a moment nobody chose
            if not self.is_on:
                return
            ended = [one for one, child in self.stack.children.items() if not child.alive]
            self.notes.failures += [f"{one} ended by itself" for one in ended]
            self.stack.kill_and_restart(name)
            self.notes.counts["restarts"] += 1
            await self.stack.end_restarts()

    async def _weigh(self) -> None:
        for part in (1, 3):
            await asyncio.sleep(max(0.0, self.deadline - self.seconds * (4 - part) / 4 - time.monotonic()))  # a moment
            child = self.stack.children["ledger"]
            memory = Path(f"/proc/{child.pid}/smaps_rollup").read_text(encoding="utf-8")
            mega, age = int(memory.split("\nPss:")[1].split()[0]) // 1024, time.monotonic() - child.started_at
            self.notes.memory.append(f"ledger {mega} MB at {part}/4, {age:.0f} s after its start")

    async def _rest(self, one: Actor) -> None:
        """All requests have ended, each for a reason one knows, and there are no others. Who waits for long cancels."""
        with contextlib.suppress(Expectation):
            await eventually("rest", one.is_at_rest, self.rest_seconds)
        for request in await one.every("/invoice-requests", "request_id"):
            if not request["closed_at"]:
                self.notes.counts["requests that took long"] += 1
                await one.cancel_until_it_ends(request["request_id"])
        found = await one.every("/invoice-requests", "request_id")
        self.notes.requests.update(f"{request['status']} {request['reason'] or ''}".strip() for request in found)
        notes = await one.every("/credit-notes", "credit_note_id")
        self.notes.requests.update(f"credit note {note['status']} {note['failure'] or ''}".strip() for note in notes)
        self.notes.requests.update("(invoices)" for _ in await one.every("/invoices", "part_id"))
        self.notes.failures += [f"why? {request}" for request in found if request["reason"] not in REASONS]
        if {request["request_id"] for request in found} != self.shared.request_ids[one.account_id]:
            self.notes.failures.append(f"{one.account_id} asked for others than {found}")

    async def _compare(self) -> None:
        """The ledger with all others, and with its journal."""
        try:
            await self.stack.verified()
        except AssertionError as error:
            self.notes.failures += [f"{name}: {texts}" for name, texts in error.args[0].items()]
        dsn = database_of(self.stack.planned.shared["DATABASE_URL"], "ledger")
        self.notes.failures += [f"rebuild: {text}" for text in await with_database(dsn, compare)]

    async def _close_books(self, one: Actor) -> None:
        """By subject, where the ledger says money is against what was sent less what was refunded; and all of it as cash."""
        sent, kept = Counter[str](), Counter[str]()
        for line in self.shared.books[one.account_id]:
            sent[line.subject] += line.fen - line.refunded_fen
        for row in await one.find("/months"):
            kept[row["subject"]] += accounted_fen(row)
        spent_fen = -(await one.find("/cash"))["cash_fen"]
        if sent != kept or spent_fen != sent.total():
            self.notes.failures.append(f"{one.account_id}: sent {sent}, accounted for {kept}, spent {spent_fen}")
