"""A soak of the ledger in the live stack: accounts pay, refund, ask and cancel side by side while services are killed.
Afterwards everything comes to rest, and the ledger must agree with its journal, with the checker, and with what was sent."""

import asyncio
import contextlib
import json
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, starmap
from pathlib import Path
from random import Random
from typing import Any, get_args

import httpx2
from aiokafka import AIOKafkaProducer

from deploy.cli.ledger import compare, with_database
from deploy.demo.client import Customer, Expectation, eventually
from deploy.demo.producer import key_of
from deploy.local import plan
from shared.contracts.ledger import Refusal
from tests.live.stack import LiveStack, event, registered

ACCOUNTS, HOT, CUSTOMERS_OF_HOT = range(901, 907), 901, 4
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_SERVICE")
PAST_MONTHS, LARGE_MONTH, FAR_MONTH = ("202601", "202602", "202603"), "202512", "209901"
OTHERS = ("title", "invoicing", "notification", "gateway", "tax_platform")
LARGE_BILLS, LARGE_LINES, STORIES_MIN, STRIDE = 3, 800, 3, 5
PATIENCE_SECONDS, WISH_SECONDS, REST_SECONDS = 120.0, 20.0, 40.0
REPEATS_MAX, WISHES_MAX, PAGE = 600, 6, 200
PASSING, UNDER_WAY = {503, 504}, ("reserving", "invoicing")
CODES = {*get_args(Refusal), "ALREADY_ISSUED", "NOT_CANCELLABLE", "NO_ACTIVE_TITLE", "RED_FORM_05"}
REASONS = {*get_args(Refusal), "BUYER_TAX_ID", "CANCELLED", "REFUND_BEFORE_ISSUE", None}


@dataclass
class Notes:
    """What was done and what came of it. `failures` is empty if all went well."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    memory: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass
class Line:
    """One line of a document. All of an account are the plain books with which the ledger has to agree."""

    subject: str
    fen: int
    refunded_fen: int = 0


@dataclass
class Paper:
    """An order, or the bill of a cycle."""

    number: str
    cycle: str | None
    lines: list[Line]


class Actor(Customer):
    """Somebody who acts for one account as his generator says. What got no answer he repeats, what nobody documented he notes."""

    def __init__(self, soak: "Soak", known: Customer, name: str) -> None:
        super().__init__(known.account_id, known.api_key, soak.stack.planned.shared["GATEWAY_URL"])
        self.soak, self.notes, self.name, self.rng = soak, soak.notes, name, Random(soak.rng.random())
        self.papers: list[Paper] = []
        self.records: list[str] = []
        self.numbered = 0

    async def said(self, method: str, path: str, key: str = "", body: object = None) -> tuple[int, Any]:
        for _ in range(REPEATS_MAX):
            with contextlib.suppress(httpx2.HTTPError):
                answer = await self._http.request(method, path, json=body, headers={"Idempotency-Key": key})
                if answer.status_code not in PASSING:
                    break
            self.notes.counts["no answer, asked again"] += 1
            await asyncio.sleep(0.1)  # the pause of a patient client, not a wait for a condition
        else:
            raise Expectation(f"{method} {path} was never answered")
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        if code and (method, code) != ("GET", "NOT_FOUND"):
            self.notes.refusals[code] += 1
            self.notes.failures += [f"{method} {path}: {answer.text[:300]}"] * (code not in CODES)
        return answer.status_code, answer.json()

    async def find(self, path: str) -> Any:  # noqa: ANN401 - JSON
        status, answer = await self.said("GET", path)
        return answer if status == 200 else None

    async def every(self, path: str, number: str) -> list[dict[str, Any]]:
        """All pages, newest first."""
        found: list[dict[str, Any]] = []
        while page := await self.find(f"{path}?limit={PAGE}" + (f"&before={found[-1][number]}" if found else "")):
            found += page
        return found

    async def is_past(self, request_id: int, *statuses: str) -> bool:
        return (await self.find(f"/invoice-requests/{request_id}"))["status"] not in statuses

    async def is_at_rest(self) -> bool:
        return all(one["closed_at"] for one in await self.every("/invoice-requests", "request_id"))

    async def has_refund(self, number: str, state: str) -> bool:
        return bool((await self.find(f"/refunds?number={number}&state={state}"))["refunds"])

    async def wait(self, what: str, look: Callable[..., Awaitable[Any]], *said: object) -> None:
        await eventually(f"{what} of {self.account_id}", partial(look, *said), PATIENCE_SECONDS)

    async def request(self, path: str = "/invoice-requests", **body: object) -> int | None:
        """The request's number unless it was refused. Asked again under its key it is the same request."""
        key, body = self.number(), {"wait_seconds": self.rng.choice((0, 2))} | body
        self.notes.counts["requests asked"] += 1
        status, answer = await self.said("POST", path, key, body)
        request_id: int | None = answer.get("request_id")
        if self.rng.random() < 0.25 and request_id is not None:
            self.notes.counts["requests repeated"] += 1
            _, again = await self.said("POST", path, key, body)
            if again.get("request_id") != request_id:
                self.notes.failures.append(f"{key} was request {request_id}, and again {again}")
        self.soak.taken[self.account_id].add(request_id)
        return request_id if status < 400 else None

    async def cancel_until_it_ends(self, request_id: int) -> None:
        """Wished again now and then: the first wish may have found nobody at the platform."""
        for _ in range(WISHES_MAX):
            self.notes.counts["cancels"] += 1
            await self.said("POST", f"/invoice-requests/{request_id}/cancel")
            with contextlib.suppress(Expectation):
                await eventually("end", partial(self.is_past, request_id, *UNDER_WAY), WISH_SECONDS)
                return
        raise Expectation(f"request {request_id} of {self.account_id} has no end although it was cancelled")

    def number(self) -> str:
        self.numbered += 1
        return f"{self.name}-{self.numbered}"

    def paper(self, cycle: str | None = None, lines: int = 1, subject: str | None = None) -> Paper:
        """It stands in the books from here on, and is sent sooner or later."""
        drawn = [Line(subject or self.rng.choice(SUBJECTS), self.rng.randrange(100, 50_000)) for _ in range(lines)]
        self.soak.books[self.account_id] += drawn
        return Paper(self.number(), cycle, drawn)

    async def send(self, paper: Paper) -> Paper:
        lines = [{"subject": line.subject, "cash_fen": line.fen} for line in paper.lines]
        kind, when = ("OrderPaid", {}) if paper.cycle is None else ("BillSettled", {"cycle": paper.cycle})
        await self.tell(kind, paper.number, {"lines": lines} | when)
        self.papers.append(paper)
        return paper

    async def refund(self, paper: Paper, too_much: bool = False) -> str:
        """Some or all of what one line has left, nothing of nothing; or more than that, which never counts."""
        at, number = self.rng.randrange(len(paper.lines)), self.number()
        left = paper.lines[at].fen - paper.lines[at].refunded_fen
        fen = self.rng.choice((left, self.rng.randint(min(1, left), left))) + too_much * left
        paper.lines[at].refunded_fen += 0 if too_much else fen
        if fen:
            lines = [{"original_line": at + 1, "cash_fen": fen}]
            await self.tell("RefundSettled", number, {"original_number": paper.number, "lines": lines})
        return number

    async def tell(self, kind: str, number: str, data: dict[str, Any]) -> None:
        named = {"account_id": self.account_id, "number": number}
        self.records.append(event(kind, f"{self.account_id}-{number}", named | data))
        await self.publish(kind, self.records[-1])

    async def publish(self, what: str, text: str) -> None:
        self.notes.counts.update(("events", what))
        headers = [("content-type", b"application/cloudevents+json")]
        await self.soak.producer.send_and_wait("billing.events", text.encode(), key=key_of(text), headers=headers)

    async def paid(self) -> Paper:
        """An order that the ledger has."""
        paper = await self.send(self.paper(lines=self.rng.randint(1, 2)))
        await self.wait(paper.number, self.find, f"/items/{paper.number}")
        return paper

    async def settle(self) -> None:
        """An order, or a bill of a month that is open or of one that is not."""
        month = self.rng.choice((None, None, *PAST_MONTHS, FAR_MONTH))
        await self.send(self.paper(month, self.rng.randint(1, 4)))

    async def refund_anything(self) -> None:
        await self.refund(self.rng.choice(self.papers))

    async def repeat(self) -> None:
        """The same record, or the same document in another one."""
        said = self.rng.choice(self.records)
        new = json.dumps(json.loads(said) | {"id": f"{self.account_id}-{self.number()}"})
        await self.publish(*self.rng.choice((("records repeated", said), ("documents repeated", new))))

    async def ask_by_numbers(self) -> None:
        """Some get lost on the way to the platform or back, some are refused there."""
        for remark in ("", self.rng.choice(("TIMEOUT_LOST", "TIMEOUT_ISSUED")), "FAIL_BUYER_TAXNO"):
            papers = [await self.paid() for _ in range(self.rng.randint(1, 2))]
            await self.request(numbers=[paper.number for paper in papers], remark=remark)

    async def ask_by_amount(self) -> None:
        await self.request(amount_fen=self.rng.randrange(1, 100_000), subject=self.rng.choice((None, *SUBJECTS)))

    async def ask_by_months(self) -> None:
        cycles, apart = self.rng.sample(PAST_MONTHS, 2), self.rng.random() < 0.5
        await self.request(cycles=cycles, one_invoice_per_month=apart)

    async def ask_for_a_large_month(self) -> None:
        """More items than one transaction takes, in a month of their own."""
        papers = [await self.send(self.paper(LARGE_MONTH, LARGE_LINES, SUBJECTS[0])) for _ in range(LARGE_BILLS)]
        await self.wait("large bills", self.find, f"/items/{papers[-1].number}")
        await self.request(cycles=[LARGE_MONTH])

    async def ask_in_vain(self) -> None:
        later = await self.send(self.paper(FAR_MONTH))
        await self.request(numbers=[self.rng.choice((later.number, "nobody-ever-printed-this"))])
        await self.request(amount_fen=10**12)

    async def ask_and_cancel(self) -> None:
        for remark in ("SLOW", self.rng.choice(("", "CANCEL_LOSE", "CANCEL_ACK_BUT_ISSUED"))):
            request_id = await self.request(numbers=[(await self.paid()).number], remark=remark)
            await asyncio.sleep(self.rng.uniform(0, 1))  # a customer changes his mind when he likes
            if request_id is not None:
                await self.cancel_until_it_ends(request_id)

    async def refund_what_is_free(self) -> None:
        await self.refund(await self.paid())

    async def refund_what_is_reserved(self) -> None:
        """The platform would have the invoice in work for a day: the refund ends that."""
        paper = await self.paid()
        request_id = await self.request(numbers=[paper.number], remark="SLOW")
        if request_id is not None:
            await self.wait("the ledger's word", self.is_past, request_id, "reserving")
        await self.refund(paper)

    async def refund_what_is_invoiced(self) -> None:
        """It leaves a deficit, which other consumption pays: now, or in a later request."""
        paper = await self.paid()
        request_id = await self.request(numbers=[paper.number])
        if request_id is not None:
            await self.wait("invoice", self.is_past, request_id, *UNDER_WAY)
        await self.wait("refund", self.has_refund, await self.refund(paper), "attached")
        if self.rng.random() < 0.5:
            await self.request("/deficit-offsets", subject=self.rng.choice(paper.lines).subject)

    async def take_an_invoice_back(self) -> None:
        """Nobody has to confirm it, or the buyer does, or refuses; while it is under way somebody may refund."""
        request_id = await self.request(numbers=[(await self.paid()).number])
        if request_id is None:
            return
        await self.wait("invoice", self.is_past, request_id, *UNDER_WAY)
        for invoice in (await self.find(f"/invoice-requests/{request_id}"))["invoices"]:
            if invoice["number"]:
                self.notes.counts["credit notes asked"] += 1
                body = {"remark": self.rng.choice(("", "", "BUYER_REFUSES", "BUYER_CONFIRMS"))}
                await self.said("POST", f"/invoices/{invoice['number']}/credit-notes", self.number(), body)
        await self.wait("the end of credit notes", self.has_credited)

    async def has_credited(self) -> bool:
        return all(one["ended_at"] for one in await self.every("/credit-notes", "credit_note_id"))

    async def refund_before_the_original(self) -> None:
        paper = self.paper(lines=2)
        await self.wait("waiting refund", self.has_refund, await self.refund(paper), "waiting")
        await self.send(paper)

    async def refund_more_than_was_paid(self) -> None:
        """It is parked."""
        await self.refund(await self.send(self.paper()), too_much=True)

    async def look(self) -> None:
        """A balance adds up at any moment."""
        for row in await self.find("/balances"):
            if row["consumed_fen"] - row["refunded_fen"] != _accounted_fen(row):
                self.notes.failures.append(f"the balance of {self.account_id} does not add up: {row}")


Act = Callable[[Actor], Awaitable[None]]
FEED: tuple[Act, ...] = (Actor.settle, Actor.settle, Actor.settle, Actor.refund_anything, Actor.repeat, Actor.repeat)
STORIES: tuple[Act, ...] = (
    *(Actor.ask_by_numbers, Actor.ask_by_amount, Actor.ask_by_months, Actor.ask_in_vain, Actor.ask_and_cancel),
    *(
        Actor.refund_what_is_free,
        Actor.refund_what_is_reserved,
        Actor.refund_what_is_invoiced,
        Actor.look,
        Actor.take_an_invoice_back,
    ),
    *(Actor.refund_before_the_original, Actor.refund_more_than_was_paid),
)


class Soak:
    """One run. The seed decides who does what in which order; how far everybody comes is up to the machine."""

    def __init__(self, stack: LiveStack, seed: int, seconds: float) -> None:
        self.stack, self.seconds, self.rng, self.notes = stack, seconds, Random(seed), Notes()
        self.books: dict[int, list[Line]] = defaultdict(list)
        self.taken: dict[int, set[int | None]] = defaultdict(lambda: {None})
        self.deadline = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.deadline

    async def run(self) -> None:
        feeds, customers = await self._open()
        work = [self._weigh(), self._kill(Random(self.rng.random()))]
        work += [*map(self._feed, feeds), *starmap(self._buy, customers)]
        self.deadline = time.monotonic() + self.seconds
        self.producer = AIOKafkaProducer(bootstrap_servers=self.stack.kafka.bootstrap, enable_idempotence=True)
        async with self.producer:
            ended = await asyncio.gather(*work, return_exceptions=True)
        await self.stack.end_restarts()
        ended += await asyncio.gather(*map(self._rest, feeds), return_exceptions=True)
        self.notes.failures += ["".join(traceback.format_exception(one)) for one in ended if one is not None]
        await self._compare()
        await asyncio.gather(*map(self._close_books, feeds))
        await asyncio.gather(*(one.close() for one in (*feeds, *(one for one, _ in customers))))

    async def _open(self) -> tuple[list[Actor], list[tuple[Actor, list[Act]]]]:
        """For each account one who feeds it, and customers. They begin at different stories, and so soon have told all."""
        await self.stack.ready()
        await self.stack.publish("account.events", map(registered, ACCOUNTS))
        stories, feeds = self.rng.sample(STORIES, len(STORIES)), []
        customers: list[tuple[Actor, list[Act]]] = []
        for account_id in ACCOUNTS:
            known = await self.stack.customer(account_id)
            await eventually("the title", partial(known.get, "/titles"))
            await known.close()
            feeds.append(Actor(self, known, "U"))
            for number in range(CUSTOMERS_OF_HOT if account_id == HOT else 1):
                customers.append((Actor(self, known, f"C{number}"), stories))
                stories = stories[STRIDE:] + stories[:STRIDE]
        customers[0] = (customers[0][0], [Actor.ask_for_a_large_month, *customers[0][1]])
        return feeds, customers

    async def _feed(self, actor: Actor) -> None:
        await actor.settle()
        pause_seconds = 0.2 if actor.account_id == HOT else 1
        while self.is_on:
            await actor.rng.choice(FEED)(actor)
            await asyncio.sleep(actor.rng.uniform(0, pause_seconds))  # people buy when they like

    async def _buy(self, actor: Actor, stories: Sequence[Act]) -> None:
        for done, story in enumerate(cycle(stories)):
            if not self.is_on and done >= STORIES_MIN:
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
            said = Path(f"/proc/{child.pid}/smaps_rollup").read_text(encoding="utf-8")
            mega, age = int(said.split("\nPss:")[1].split()[0]) // 1024, time.monotonic() - child.started_at
            self.notes.memory.append(f"ledger {mega} MB at {part}/4, {age:.0f} s after its start")

    async def _rest(self, one: Actor) -> None:
        """All requests have ended, each for a reason one knows, and there are no others. Who waits for long cancels."""
        with contextlib.suppress(Expectation):
            await eventually("rest", one.is_at_rest, REST_SECONDS)
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
        if {request["request_id"] for request in found} != self.taken[one.account_id] - {None}:
            self.notes.failures.append(f"{one.account_id} asked for others than {found}")

    async def _compare(self) -> None:
        """The ledger with all others, and with its journal."""
        try:
            await self.stack.verified()
        except AssertionError as error:
            self.notes.failures += [f"{name}: {texts}" for name, texts in error.args[0].items()]
        dsn = plan.database_of(self.stack.planned.shared["DATABASE_URL"], "ledger")
        self.notes.failures += [f"rebuild: {text}" for text in await with_database(dsn, compare)]

    async def _close_books(self, one: Actor) -> None:
        """By subject, where the ledger says money is against what was sent less what was refunded; and all of it as cash."""
        sent, kept = Counter[str](), Counter[str]()
        for line in self.books[one.account_id]:
            sent[line.subject] += line.fen - line.refunded_fen
        for row in await one.find("/months"):
            kept[row["subject"]] += _accounted_fen(row)
        spent_fen = -(await one.find("/cash"))["cash_fen"]
        if sent != kept or spent_fen != sent.total():
            self.notes.failures.append(f"{one.account_id}: sent {sent}, accounted for {kept}, spent {spent_fen}")


def _accounted_fen(row: dict[str, int]) -> int:
    """Months say what offsets come to, balances their two sides."""
    added = ("available_fen", "in_progress_fen", "invoiced_fen", "offset_fen", "offset_cost_fen")
    return sum(row.get(name, 0) for name in added) - row["deficit_fen"] - row.get("offset_accept_fen", 0)
