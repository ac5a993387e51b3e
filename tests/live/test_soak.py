"""A short soak: everything happens at least once while services are killed, and afterwards the books close."""

from collections.abc import Iterator

import asyncpg
import pytest

from services.ledger.journal import limits
from shared.runtime.dsn import database_of
from tests.live.actor import STORIES, Actor
from tests.live.soak import Soak
from tests.live.stack import LiveStack

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("live"),
]

SEED, SECONDS = 1, 15.0
DONE = {
    *("OrderPaid", "BillSettled", "RefundSettled", "records repeated", "documents repeated"),
    *("requests asked", "requests repeated", "cancels", "restarts"),
    *(story.__name__ for story in STORIES),
}
ENDED = {"invoiced", "failed BUYER_TAX_ID", "voided CANCELLED", "voided REFUND_BEFORE_ISSUE", "(invoices)"}
REFUND_FIRST = "SELECT FROM refund r JOIN item i USING (account_id, item_id) WHERE r.arrived_at < i.arrived_at"
DEFICIT = "SELECT FROM item WHERE invoiced_fen > settled_fen - refunded_fen"
DEFICIT_PAID = "SELECT FROM reservation_offset WHERE NOT undone"
LARGE = f"SELECT FROM allocation GROUP BY account_id, reservation_id HAVING count(*) > {limits.ITEMS_MAX}"
PARKED = "SELECT FROM runtime.parked WHERE topic = 'billing.events' AND reason = 'REFUND_EXCEEDS_ORIGINAL'"


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    running = LiveStack.start()
    yield running
    running.stop()


async def test_everything_happens_side_by_side_and_the_books_close(stack: LiveStack) -> None:
    soak = Soak(stack, SEED, SECONDS)
    await soak.run()
    notes = soak.notes
    assert notes.failures == []
    assert (+notes.counts).keys() >= DONE, "a soak that did nothing proves nothing"
    assert (+notes.requests).keys() >= ENDED
    assert notes.refusals
    db = await asyncpg.connect(database_of(stack.planned.shared["DATABASE_URL"], "ledger"))
    for query in (REFUND_FIRST, DEFICIT, DEFICIT_PAID, LARGE):
        assert await db.fetch(query), query
    parked = await db.fetch(PARKED)
    await db.close()
    assert len(parked) == notes.counts[Actor.refund_more_than_was_paid.__name__]
