"""Time moves for the whole stack at once: what is not open today is invoiced on the 3rd, and the document bears that day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from deploy.demo.client import Customer, eventually
from shared.domain.calendar import SHANGHAI, cycle_of, earliest_opening
from tests.live.stack import LiveStack, event, registered

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("live"),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    running = LiveStack.start()
    yield running
    running.stop()


async def test_a_bill_of_this_month_is_invoiced_on_the_3rd_of_the_next(stack: LiveStack) -> None:
    await stack.ready()
    cycle = cycle_of(datetime.now(UTC))
    opening = earliest_opening(cycle)
    line = {"subject": "ALIYUN_SERVICE", "cash_fen": 10_600}
    bill = event("BillSettled", "b1", {"account_id": 1, "number": "B1", "cycle": cycle, "lines": [line]})
    await stack.publish("account.events", [registered(1)])
    await stack.publish("billing.events", [bill])
    customer = await stack.customer(1)
    await eventually("the bill", lambda: customer.get("/items/B1"))
    await eventually("the title", lambda: customer.get("/titles"))

    await eventually("the refusal", lambda: _refused(customer, "ITEM_NOT_INVOICEABLE"))

    shared = stack.planned.shared
    headers = {"Authorization": f"Bearer {shared['OPERATOR_TOKEN']}"}
    async with httpx2.AsyncClient(base_url=stack.operations("gateway"), headers=headers) as operator:
        moved = await operator.put("/ops/clock", json={"now": (opening + timedelta(hours=9)).isoformat()})
        back = await operator.put("/ops/clock", json={"now": opening.isoformat()})
    assert moved.status_code == 200, moved.text
    assert {name.partition("-")[0] for name in moved.json()["followers"]} == {
        *("title", "ledger", "invoicing", "notification", "gateway", "tax_platform")
    }
    assert (back.status_code, back.json()["code"]) == (409, "TIME_CANNOT_GO_BACK")

    status, answer, _ = await customer.ask("in-time", numbers=["B1"])
    assert status == 201, answer
    invoice = await eventually("the invoice", lambda: _issued(customer))
    issued_at = datetime.fromisoformat(invoice["issued_at"]).astimezone(SHANGHAI)
    assert issued_at.date() == opening.date(), "the platform's clock moved too"
    await customer.close()
    await stack.verified()


async def _refused(customer: Customer, code: str) -> bool:
    """Until invoicing knows the title it refuses for another reason."""
    _, answer, _ = await customer.ask("early", numbers=["B1"])
    return bool(answer["code"] == code)


async def _issued(customer: Customer) -> dict[str, Any] | None:
    return next((one for one in await customer.get("/invoices") if one["status"] == "issued"), None)
