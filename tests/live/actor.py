"""Who acts in a soak: upstream and customers of one account, and the stories they play."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import httpx2

from deploy.demo.client import Customer, Expectation, eventually
from deploy.demo.producer import key_of
from shared.domain.refusals import Refusal, text_of
from tests.live.notes import Document, Line, Shared, accounted_fen
from tests.live.stack import event

SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_SERVICE")
PAST_MONTHS, LARGE_MONTH, FAR_MONTH = ("202601", "202602", "202603"), "202512", "209901"
LARGE_BILLS, LARGE_LINES = 3, 800
CANCEL_SECONDS = 20.0
CANCELS_MAX, PAGE = 6, 200
PASSING, UNDER_WAY = {503, 504}, ("reserving", "invoicing")
CODES_OF_LEDGER = {code for code in Refusal if text_of(code).by == "ledger"}
CODES = {*CODES_OF_LEDGER, "ALREADY_ISSUED", "NOT_CANCELLABLE", "NO_ACTIVE_TITLE", "RED_FORM_05"}


class Actor(Customer):
    """Acts for one account as its random numbers say. It repeats what got no answer, and notes every answer that is not documented."""

    def __init__(self, shared: Shared, known: Customer, name: str) -> None:
        super().__init__(known.account_id, known.api_key, shared.stack.planned.shared["GATEWAY_URL"])
        self.shared, self.notes, self.name, self.rng = shared, shared.notes, name, Random(shared.rng.random())
        self.documents: list[Document] = []
        self.records: list[str] = []
        self.numbered = 0

    async def answer(self, method: str, path: str, key: str = "", body: object = None) -> tuple[int, Any]:
        deadline = time.monotonic() + self.shared.patience_seconds
        while time.monotonic() < deadline:
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
        status, answer = await self.answer("GET", path)
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

    async def wait(self, what: str, look: Callable[..., Awaitable[Any]], *arguments: object) -> None:
        await eventually(f"{what} of {self.account_id}", partial(look, *arguments), self.shared.patience_seconds)

    async def request(self, path: str = "/invoice-requests", **body: object) -> int | None:
        """The request's number unless it was refused. Asked again under its key it is the same request."""
        key, body = self.number(), {"wait_seconds": self.rng.choice((0, 2))} | body
        self.notes.counts["requests asked"] += 1
        status, answer = await self.answer("POST", path, key, body)
        request_id: int | None = answer.get("request_id")
        if self.rng.random() < 0.25 and request_id is not None:
            self.notes.counts["requests repeated"] += 1
            _, again = await self.answer("POST", path, key, body)
            if again.get("request_id") != request_id:
                self.notes.failures.append(f"{key} was request {request_id}, and again {again}")
        if request_id is not None:
            self.shared.request_ids[self.account_id].add(request_id)
        return request_id if status < 400 else None

    async def cancel_until_it_ends(self, request_id: int) -> None:
        """Cancelled again now and then: the first cancel may have been lost on its way to the platform."""
        for _ in range(CANCELS_MAX):
            self.notes.counts["cancels"] += 1
            await self.answer("POST", f"/invoice-requests/{request_id}/cancel")
            with contextlib.suppress(Expectation):
                await eventually("end", partial(self.is_past, request_id, *UNDER_WAY), CANCEL_SECONDS)
                return
        raise Expectation(f"request {request_id} of {self.account_id} has no end although it was cancelled")

    def number(self) -> str:
        self.numbered += 1
        return f"{self.name}-{self.numbered}"

    def document(self, cycle: str | None = None, lines: int = 1, subject: str | None = None) -> Document:
        """It stands in the books from here on, and is sent sooner or later."""
        drawn = [Line(subject or self.rng.choice(SUBJECTS), self.rng.randrange(100, 50_000)) for _ in range(lines)]
        self.shared.books[self.account_id] += drawn
        return Document(self.number(), cycle, drawn)

    async def send(self, document: Document) -> Document:
        lines = [{"subject": line.subject, "cash_fen": line.fen} for line in document.lines]
        kind, when = ("OrderPaid", {}) if document.cycle is None else ("BillSettled", {"cycle": document.cycle})
        await self.publish_event(kind, document.number, {"lines": lines} | when)
        self.documents.append(document)
        return document

    async def refund(self, document: Document, too_much: bool = False) -> str:
        """Some or all of what one line has left, nothing of nothing; or more than that, which never counts."""
        at, number = self.rng.randrange(len(document.lines)), self.number()
        left = document.lines[at].fen - document.lines[at].refunded_fen
        fen = self.rng.choice((left, self.rng.randint(min(1, left), left))) + too_much * left
        document.lines[at].refunded_fen += 0 if too_much else fen
        if fen:
            lines = [{"original_line": at + 1, "cash_fen": fen}]
            await self.publish_event("RefundSettled", number, {"original_number": document.number, "lines": lines})
        return number

    async def publish_event(self, kind: str, number: str, data: dict[str, Any]) -> None:
        named = {"account_id": self.account_id, "number": number}
        self.records.append(event(kind, f"{self.account_id}-{number}", named | data))
        await self.publish(kind, self.records[-1])

    async def publish(self, what: str, text: str) -> None:
        self.notes.counts.update(("events", what))
        headers = [("content-type", b"application/cloudevents+json")]
        await self.shared.producer.send_and_wait("billing.events", text.encode(), key=key_of(text), headers=headers)

    async def paid(self) -> Document:
        """An order that the ledger has."""
        document = await self.send(self.document(lines=self.rng.randint(1, 2)))
        await self.wait(document.number, self.find, f"/items/{document.number}")
        return document

    async def settle(self) -> None:
        """An order, or a bill of a month that is open or of one that is not."""
        month = self.rng.choice((None, None, *PAST_MONTHS, FAR_MONTH))
        await self.send(self.document(month, self.rng.randint(1, 4)))

    async def refund_anything(self) -> None:
        await self.refund(self.rng.choice(self.documents))

    async def repeat(self) -> None:
        """The same record, or the same document in another one."""
        record = self.rng.choice(self.records)
        new = json.dumps(json.loads(record) | {"id": f"{self.account_id}-{self.number()}"})
        await self.publish(*self.rng.choice((("records repeated", record), ("documents repeated", new))))

    async def ask_by_numbers(self) -> None:
        """Some get lost on the way to the platform or back, some are refused there."""
        for remark in ("", self.rng.choice(("TIMEOUT_LOST", "TIMEOUT_ISSUED")), "FAIL_BUYER_TAXNO"):
            documents = [await self.paid() for _ in range(self.rng.randint(1, 2))]
            await self.request(numbers=[document.number for document in documents], remark=remark)

    async def ask_by_amount(self) -> None:
        await self.request(amount_fen=self.rng.randrange(1, 100_000), subject=self.rng.choice((None, *SUBJECTS)))

    async def ask_by_months(self) -> None:
        cycles, apart = self.rng.sample(PAST_MONTHS, 2), self.rng.random() < 0.5
        await self.request(cycles=cycles, one_invoice_per_month=apart)

    async def ask_for_a_large_month(self) -> None:
        """More items than one transaction takes, in a month of their own."""
        documents = [await self.send(self.document(LARGE_MONTH, LARGE_LINES, SUBJECTS[0])) for _ in range(LARGE_BILLS)]
        await self.wait("large bills", self.find, f"/items/{documents[-1].number}")
        await self.request(cycles=[LARGE_MONTH])

    async def ask_in_vain(self) -> None:
        later = await self.send(self.document(FAR_MONTH))
        await self.request(numbers=[self.rng.choice((later.number, "nobody-ever-printed-this"))])
        await self.request(amount_fen=10**12)

    async def ask_and_cancel(self) -> None:
        for remark in ("SLOW", self.rng.choice(("", "CANCEL_LOSE", "CANCEL_ACK_BUT_ISSUED"))):
            request_id = await self.request(numbers=[(await self.paid()).number], remark=remark)
            await asyncio.sleep(self.rng.uniform(0, 1))  # customers change their minds when they like
            if request_id is not None:
                await self.cancel_until_it_ends(request_id)

    async def refund_what_is_free(self) -> None:
        await self.refund(await self.paid())

    async def refund_what_is_reserved(self) -> None:
        """The platform would have the invoice in work for a day: the refund ends that."""
        document = await self.paid()
        request_id = await self.request(numbers=[document.number], remark="SLOW")
        if request_id is not None:
            await self.wait("the ledger's answer", self.is_past, request_id, "reserving")
        await self.refund(document)

    async def refund_what_is_invoiced(self) -> None:
        """It leaves a deficit, which other consumption pays: now, or in a later request."""
        document = await self.paid()
        request_id = await self.request(numbers=[document.number])
        if request_id is not None:
            await self.wait("invoice", self.is_past, request_id, *UNDER_WAY)
        await self.wait("refund", self.has_refund, await self.refund(document), "attached")
        if self.rng.random() < 0.5:
            await self.request("/deficit-offsets", subject=self.rng.choice(document.lines).subject)

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
                await self.answer("POST", f"/invoices/{invoice['number']}/credit-notes", self.number(), body)
        await self.wait("the end of credit notes", self.has_credited)

    async def has_credited(self) -> bool:
        return all(one["ended_at"] for one in await self.every("/credit-notes", "credit_note_id"))

    async def refund_before_the_original(self) -> None:
        document = self.document(lines=2)
        await self.wait("waiting refund", self.has_refund, await self.refund(document), "waiting")
        await self.send(document)

    async def refund_more_than_was_paid(self) -> None:
        """It is parked."""
        await self.refund(await self.send(self.document()), too_much=True)

    async def look(self) -> None:
        """A balance adds up at any moment."""
        for row in await self.find("/balances"):
            if row["consumed_fen"] - row["refunded_fen"] != accounted_fen(row):
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
