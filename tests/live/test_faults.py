"""Everything is killed once in the middle of requests; afterwards nothing is lost and nothing is doubled."""

import asyncio
import json
import signal
from collections.abc import Iterator, Sequence

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from deploy.demo.client import Customer, eventually
from tests.live.stack import LiveStack, event, paid, registered

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("live"),
]

ORDERS = 60
AT_ONCE = 6
REPEATS_MAX = 600
SERVICES = ("title", "ledger", "invoicing", "notification", "gateway")


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    running = LiveStack.start()
    yield running
    running.stop()


async def open_account(stack: LiveStack, account_id: int, orders: int = ORDERS) -> Customer:
    """A registered account with orders to invoice, as far as invoicing knows of it."""
    await stack.publish("account.events", [registered(account_id)])
    await stack.publish("billing.events", [paid(account_id, f"O{number}", 1000 + number) for number in range(orders)])
    customer = await stack.customer(account_id)
    await eventually("the last order", lambda: customer.get(f"/items/O{orders - 1}"))
    await eventually("the title", lambda: customer.get("/titles"))
    return customer


async def ask_until_accepted(customer: Customer, number: int) -> None:
    """A program that repeats its request under the same key until it has an answer."""
    for _ in range(REPEATS_MAX):
        try:
            status, answer, _ = await customer.ask(f"key-{number}", numbers=[f"O{number}"], wait_seconds=0)
        except (httpx2.HTTPError, ValueError):
            status, answer = 0, {}
        if status in (201, 202):
            return
        assert status in (0, 500, 503, 504) or answer.get("code") == "NO_ACTIVE_TITLE", answer
        await asyncio.sleep(0.1)  # the pause of a patient client, not a wait for a condition
    raise AssertionError(f"request {number} was never accepted")


async def ask_for_all(customers: Sequence[Customer], orders: int = ORDERS) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(customer: Customer, number: int) -> None:
        async with gate:
            await ask_until_accepted(customer, number)

    await asyncio.gather(*(one(customer, number) for customer in customers for number in range(orders)))


async def all_issued(customer: Customer, orders: int = ORDERS) -> bool:
    try:
        return len(await customer.get("/invoices?limit=200")) == orders
    except httpx2.HTTPError:
        return False


async def came_out_once(stack: LiveStack, customers: Sequence[Customer], orders: int = ORDERS) -> None:
    await stack.end_restarts()
    for customer in customers:
        await eventually("all invoices", lambda one=customer: all_issued(one, orders), 120)  # type: ignore[misc]
    await stack.verified()
    for customer in customers:
        invoices = await customer.get("/invoices?limit=200")
        assert sorted(one["gross_fen"] for one in invoices) == [1000 + number for number in range(orders)]
        await customer.close()


async def test_each_service_is_killed_in_the_middle_of_three_hundred_requests(stack: LiveStack) -> None:
    await stack.ready()
    customers = [await open_account(stack, 100 + number) for number in range(5)]
    asking = asyncio.create_task(ask_for_all(customers))
    for service, customer in zip(SERVICES, customers, strict=True):
        await eventually("some invoices", lambda one=customer: _some(one))  # type: ignore[misc]
        stack.kill_and_restart(service)
        await stack.ready()
    await asking
    await came_out_once(stack, customers)


async def _some(customer: Customer) -> bool:
    try:
        return bool(await customer.get("/invoice-requests?limit=1"))
    except httpx2.HTTPError:
        return False


async def test_postgresql_is_killed_and_comes_back(stack: LiveStack) -> None:
    await stack.ready()
    customer = await open_account(stack, 200)
    asking = asyncio.create_task(ask_for_all([customer]))
    await eventually("some requests", lambda: _some(customer))
    stack.postgres.kill()
    stack.postgres.start()
    await asking
    await came_out_once(stack, [customer])


async def test_the_tax_platform_is_killed_with_invoices_under_way(stack: LiveStack) -> None:
    await stack.ready()
    customer = await open_account(stack, 300, 20)
    asking = asyncio.create_task(ask_for_all([customer], 20))
    await eventually("some requests", lambda: _some(customer))
    stack.kill_and_restart("tax_platform")
    await asking
    await came_out_once(stack, [customer], 20)


async def test_every_service_ends_gracefully_under_load(stack: LiveStack) -> None:
    await stack.ready()
    customer = await open_account(stack, 400, 30)
    asking = asyncio.create_task(ask_for_all([customer], 30))
    await eventually("some requests", lambda: _some(customer))
    for service in SERVICES:
        child = stack.children[service]
        child.send(signal.SIGTERM)
        await eventually(f"end of {service}", lambda one=child: _ended(one), 25)  # type: ignore[misc]
        assert child.exit_status == 0, service
        stack.launch(service)
    await stack.ready()
    await asking
    await came_out_once(stack, [customer], 30)


async def _ended(child: object) -> bool:
    return not child.alive  # type: ignore[attr-defined]


POISON: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = [
    (None, [("ce_id", b"1")]),
    (b"{not json", []),
    (b"[]", []),
    (b"{}", [("ce_id", b"p1"), ("ce_type", b"OrderPaid"), ("ce_source", None)]),
    (b"{}", [("ce_id", b"\xff\xfe"), ("ce_type", b"OrderPaid"), ("ce_source", b"/acme")]),
    (b"{}", [("ce_id", b"p2"), ("ce_type", b"OrderPaid"), ("ce_source", b"/acme")]),
    (b'{"specversion":"1.0","id":"p3","source":"/acme","type":"OrderPaid"}', []),
]


PLANTED = "nothing_published_that_was_not_committed"


async def test_poison_of_every_kind_is_parked_and_the_good_take_effect(stack: LiveStack) -> None:
    await stack.ready()
    before = await _parked(stack)
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka.bootstrap) as producer:
        for value, headers in POISON:
            await producer.send_and_wait("billing.events", value, key=b"500", headers=headers)
        unknown = event("SomethingNewer", "newer", {"account_id": 500})
        await producer.send_and_wait("billing.events", unknown.encode(), key=b"500")
        wrong = [("ce_id", b"w"), ("ce_type", b"ReleaseReservation"), ("ce_source", b"/acme")]
        body = json.dumps({"account_id": 500, "request_id": 1}).encode()
        await producer.send_and_wait("ledger.commands", body, key=b"500", headers=wrong)
    customer = await open_account(stack, 500, 3)
    await eventually("parked poison", lambda: _parked_more(stack, before + len(POISON) + 1))
    await ask_for_all([customer], 3)
    await stack.end_restarts()
    await eventually("all invoices", lambda: all_issued(customer, 3))
    await stack.verified(but={PLANTED, "nothing_of_our_own_is_parked"})  # the planted command stands out
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {stack.planned.shared['OPERATOR_TOKEN']}"}
    ) as http:
        for one in (await http.get(f"{stack.operations('ledger')}/ops/parked")).json():
            if one["topic"] == "ledger.commands":
                url = f"{stack.operations('ledger')}/ops/parked/{one['parked_id']}/dismiss"
                assert (await http.post(url, json={"by": "test", "comment": "planted"})).status_code == 200
    await stack.verified(but={PLANTED})
    await customer.close()


async def _parked(stack: LiveStack) -> int:
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {stack.planned.shared['OPERATOR_TOKEN']}"}
    ) as http:
        return len((await http.get(f"{stack.operations('ledger')}/ops/parked")).json())


async def _parked_more(stack: LiveStack, wanted: int) -> bool:
    return await _parked(stack) >= wanted


async def test_one_of_three_brokers_is_killed() -> None:
    stack = LiveStack.start(nodes=3)
    try:
        await stack.ready()
        customer = await open_account(stack, 600, 30)
        asking = asyncio.create_task(ask_for_all([customer], 30))
        await eventually("some requests", lambda: _some(customer))
        stack.kafka.kill_node(2)
        await asking
        await came_out_once(stack, [customer], 30)
    finally:
        stack.stop()
