"""The story: four accounts, their orders and bills, and what they ask for. Each step says what it expects.

It may be played again on the same data: events have the same ids, requests the same idempotency keys, and what is there already is not
published again. So a run that was broken off goes on, and one that came to its end adds nothing.
"""

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo import kept
from deploy.demo.client import Customer, Expectation, Operator, eventually
from deploy.demo.consumer import issued_invoices
from deploy.demo.kafka_login import kafka_login
from deploy.demo.kept import Kept
from deploy.demo.producer import publish

HERE = Path(__file__).parent
PERSON, ENTERPRISE, MONTHLY, UNLUCKY = 1001, 1002, 1003, 1004
FIVE_SUBJECTS = ("ORD-1002-001", "ORD-1002-003", "ORD-1002-004", "ORD-1002-005", "ORD-1002-008", "ORD-1002-002")
PARKED_EXPECTED = 3
ACCEPTED = (201, 202)
"""At once, or when the ledger has answered: a busy machine may need longer than the request waits."""
AMOUNT_FEN = 50_000


@dataclass
class Story:
    """What happened, for the report."""

    kept: Kept
    customers: dict[int, Customer] = field(default_factory=dict)
    parked: list[dict[str, Any]] = field(default_factory=list)
    credited: list[dict[str, Any]] = field(default_factory=list)


def expect(true: object, text: str) -> None:
    if not true:
        raise Expectation(text)


async def play() -> Story:
    story = Story(kept.read())
    await _sign_in(story)
    if not await _is_told(story):
        await _tell(story)
        story.kept.whole = True
        kept.write(story.kept)
    story.parked = await _parked()
    for account, credit_note_id in story.kept.credit_notes:
        note = await story.customers[account].get(f"/credit-notes/{credit_note_id}")
        story.credited.append(note | {"account_id": account})
    return story


async def _tell(story: Story) -> None:
    story.kept.requests.clear()
    story.kept.refusals.clear()
    story.kept.credit_notes.clear()
    if not await _has_arrived(story):
        await _publish()
    await _arrivals(story)
    await _one_request_many_subjects(story)
    await _other_requests(story)
    await _come_to_rest(story)
    await _one_credit_note(story)
    await _downstream(story)


async def _is_told(story: Story) -> bool:
    """By an earlier run, on these data: what it left is still there."""
    found = [await story.customers[account].get(f"/invoice-requests/{one}") for account, one in story.kept.requests]
    return story.kept.whole and all(found)


def events(name: str) -> list[str]:
    """The lines of a file. Copies of one line stay copies."""
    return (HERE / name).read_text(encoding="utf-8").splitlines()


async def _publish() -> None:
    bootstrap = os.environ["KAFKA_BOOTSTRAP"]
    await publish(bootstrap, "account.events", events("accounts.jsonl"), kafka_login())
    await publish(bootstrap, "billing.events", events("billing.jsonl"), kafka_login())


async def _sign_in(story: Story) -> None:
    """With the key of an earlier run, if it still opens; written down at once, for it is shown once."""
    operator, gateway = Operator(), os.environ["GATEWAY_URL"]
    for account_id in (PERSON, ENTERPRISE, MONTHLY, UNLUCKY):
        key = story.kept.key_of(account_id)
        if key is None or not await Customer(account_id, key, gateway).is_known():
            wanted = {"account_id": account_id, "name": "demo"}
            key = (await operator.call("POST", f"{operator.urls['gateway']}/ops/api-keys", wanted))["api_key"]
            others = [one for one in story.kept.accounts if one["account_id"] != account_id]
            story.kept.accounts = [*others, {"account_id": account_id, "api_key": key}]
        story.customers[account_id] = Customer(account_id, key, gateway)
    kept.write(story.kept)


LAST = {
    PERSON: "ORD-1001-008",
    ENTERPRISE: "BILL-1002-202610",
    MONTHLY: "BILL-1003-202608",
    UNLUCKY: "ORD-1004-003",
}
"""Of each account the document of its last event."""


async def _has_arrived(story: Story) -> bool:
    found = [await story.customers[account].get(f"/items/{number}") for account, number in LAST.items()]
    return all(found) and await _has_parked()


async def _arrivals(story: Story) -> None:
    """Every account has its title, and the money of its last event."""
    for account, number in LAST.items():
        customer = story.customers[account]
        await eventually(f"title of account {account}", partial(customer.get, "/titles"))
        await eventually(f"item {number}", partial(customer.get, f"/items/{number}"))
    duplicate = await story.customers[ENTERPRISE].get("/items/ORD-1002-005")
    expect(len(duplicate) == 1, "the duplicate event made a second item")
    await eventually("parked records", _has_parked)


async def _parked() -> list[dict[str, Any]]:
    operator = Operator()
    found: list[dict[str, Any]] = await operator.call("GET", f"{operator.urls['ledger']}/ops/parked")
    return found


async def _has_parked() -> bool:
    return len(await _parked()) >= PARKED_EXPECTED


async def _one_request_many_subjects(story: Story) -> None:
    customer = story.customers[ENTERPRISE]
    key = "demo-0-many"
    status, first, trace_id = await _asked(customer, key, numbers=FIVE_SUBJECTS, kind="special", remark="2026 年度采购")
    story.kept.trace_id = story.kept.trace_id or trace_id
    expect(status in ACCEPTED, f"the request over many subjects was not accepted: {first}")
    _, again, _ = await customer.ask(key, numbers=FIVE_SUBJECTS, kind="special", remark="2026 年度采购")
    expect(again.get("request_id") == first["request_id"], f"the same Idempotency-Key gave another answer: {again}")
    status, other, _ = await customer.ask(key, numbers=FIVE_SUBJECTS[:1])
    expect(other.get("code") == "IDEMPOTENCY_CONFLICT", f"the same key with other content was not refused: {other}")
    story.kept.refusals.append((customer.account_id, other["code"], other["detail"]))
    story.kept.requests.append((ENTERPRISE, first["request_id"]))


async def _asked(customer: Customer, key: str, **body: object) -> tuple[int, dict[str, Any], str]:
    """Invoicing keeps its own copy of titles, which may arrive a moment after title's own."""
    for _ in range(100):
        status, answer, trace_id = await customer.ask(key, **body)
        if answer.get("code") != "NO_ACTIVE_TITLE":
            break
        await asyncio.sleep(0.1)
    return status, answer, trace_id


async def _other_requests(story: Story) -> None:
    for account, name, body in (
        (PERSON, "order", {"numbers": ["ORD-1001-001", "ORD-1001-002"]}),
        (MONTHLY, "months", {"cycles": ["202608", "202609"]}),
        (ENTERPRISE, "amount", {"amount_fen": AMOUNT_FEN, "subject": "ALIYUN_SERVICE"}),
        (UNLUCKY, "unlucky", {"numbers": ["ORD-1004-001"]}),
    ):
        status, answer, _ = await _asked(story.customers[account], f"demo-0-{name}", **body)
        expect(status in ACCEPTED, f"{name}: not accepted: {answer}")
        story.kept.requests.append((account, answer["request_id"]))
    status, refused, _ = await story.customers[MONTHLY].ask("demo-0-much", amount_fen=10**12, subject="ALIYUN_SERVICE")
    expect(refused.get("code") == "INSUFFICIENT_INVOICEABLE", f"asking for too much was not refused: {refused}")
    story.kept.refusals.append((story.customers[MONTHLY].account_id, refused["code"], refused["detail"]))
    status, special, _ = await story.customers[PERSON].ask("demo-0-special", numbers=["ORD-1001-003"], kind="special")
    expect(
        special.get("code") == "SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON", f"a person got a special invoice: {special}"
    )
    story.kept.refusals.append((story.customers[PERSON].account_id, special["code"], special["detail"]))
    status, wish, _ = await story.customers[PERSON].ask("demo-0-cancel", numbers=["ORD-1001-004"], wait_seconds=0)
    await story.customers[PERSON].cancel(wish["request_id"])
    story.kept.requests.append((PERSON, wish["request_id"]))


async def _come_to_rest(story: Story) -> None:
    for account, request_id in story.kept.requests:
        customer = story.customers[account]
        request = await eventually(f"end of request {request_id}", partial(_closed, customer, request_id))
        if account == UNLUCKY:
            expect(request["status"] == "failed", f"the unlucky account's request is {request['status']}")
            story.kept.refusals.append((customer.account_id, request["reason"], request["invoices"][0]["text"]))
        for invoice in request["invoices"]:
            if invoice["number"]:
                await eventually("mail", partial(_was_notified, customer, invoice["part_id"], "mail"))
                expect((await customer.file(invoice["number"], "pdf")).startswith(b"%PDF"), "the PDF file is not one")
    many = await story.customers[ENTERPRISE].get(f"/invoice-requests/{story.kept.requests[0][1]}")
    expect(
        len([one for one in many["invoices"] if one["number"]]) >= 5,
        "the request over many subjects made too few invoices",
    )
    rest = (await story.customers[UNLUCKY].get("/items/ORD-1004-001"))[0]
    expect(rest["invoiceable_fen"] == rest["settled_fen"], "the failed request's amount is not free again")


async def _closed(customer: Customer, request_id: int) -> dict[str, Any] | None:
    request: dict[str, Any] = await customer.get(f"/invoice-requests/{request_id}")
    ready = request["closed_at"] and all(one["files"] or not one["number"] for one in request["invoices"])
    return request if ready else None


async def _was_notified(customer: Customer, part_id: int, channel: str, kind: str = "") -> bool:
    """Whether a notice about a part was sent on a channel; of any kind, or of kinds that begin like this."""
    return any(
        (one["part_id"], one["channel"], one["status"]) == (part_id, channel, "sent") and one["kind"].startswith(kind)
        for one in await customer.get("/notifications?limit=200")
    )


async def _one_credit_note(story: Story) -> None:
    """The invoice by amount is taken back: once the red one is issued, and not before, its amount is free again."""
    customer = story.customers[ENTERPRISE]
    invoice = next(one for one in await customer.get("/invoices?limit=200") if one["gross_fen"] == AMOUNT_FEN)
    before = await _available(customer, invoice["subject"])
    status, note = await customer.credit(invoice["number"], "demo-0-credit", reason="sales_return")
    expect(status in ACCEPTED, f"the credit note was not accepted: {note}")
    await eventually("red invoice", partial(_red_one, customer, f"/credit-notes/{note['credit_note_id']}"))
    if invoice["status"] != "credited":
        await eventually("amount that is free again", partial(_has, customer, invoice["subject"], before + AMOUNT_FEN))
    story.kept.credit_notes = [(ENTERPRISE, note["credit_note_id"])]
    shown = await customer.get(f"/invoices/{invoice['number']}")
    expect(shown["status"] == "credited", f"the credited invoice is {shown['status']}")
    await eventually(
        "mail of the credit note", partial(_was_notified, customer, invoice["part_id"], "mail", "credit_note_documents")
    )


async def _red_one(customer: Customer, path: str) -> dict[str, Any] | None:
    note: dict[str, Any] = await customer.get(path)
    return note if note["files"] else None


async def _available(customer: Customer, subject: str) -> int:
    return sum(one["available_fen"] for one in await customer.get("/balances") if one["subject"] == subject)


async def _has(customer: Customer, subject: str, available_fen: int) -> bool:
    return await _available(customer, subject) == available_fen


async def _downstream(story: Story) -> None:
    """The finance team's consumer has seen every invoice there is."""
    numbers = {
        one["number"] for customer in story.customers.values() for one in await customer.get("/invoices?limit=200")
    }
    async with asyncio.timeout(60):
        async for invoice in issued_invoices(os.environ["KAFKA_BOOTSTRAP"], None, kafka_login("FINANCE_")):
            numbers.discard(invoice["number"])
            if not numbers:
                return
