"""The ledger: what may still be invoiced. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from fastapi import APIRouter

from services.ledger.balances import api as balances_api
from services.ledger.balances import changes
from services.ledger.balances import handlers as balances
from services.ledger.booking import handlers as booking
from services.ledger.booking import store as booking_tasks
from services.ledger.explanation import api as explanation_api
from services.ledger.intake import billing_documents
from services.ledger.intake import handlers as intake
from services.ledger.items import api as items_api
from services.ledger.large_reservations import handlers as large
from services.ledger.large_reservations import store as large_reservations
from services.ledger.reservations import handlers as reservations
from shared.contracts.accounts import CashToppedUp
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, InvoiceVoided
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation, ReserveBalance
from shared.contracts.titles import AccountErased
from shared.domain.catalogue import Catalogue
from shared.runtime import parked
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Job, Worker

MIGRATIONS = Path(__file__).parent / "migrations"
QUEUES = {
    "refunds_waiting": "SELECT count(*), min(arrived_at) FROM refund WHERE item_id IS NULL",
    "large_reservations": "SELECT count(*), min(arrived_at) FROM reservation WHERE large AND answer IS NULL",
    "bookings": "SELECT count(*), NULL::timestamptz FROM booking_task",
    "balances_to_publish": "SELECT count(*), NULL::timestamptz FROM account_change WHERE version > published",
}
"""What waits, and since when; a booking and a changed balance do not keep since when."""


def build(_: Settings) -> Service:
    return Service(
        "ledger",
        MIGRATIONS,
        batches={"billing.events": partial(intake.billing_facts, catalogue=Catalogue.load())},
        handlers={
            CashToppedUp: intake.cash_topped_up,
            ReserveBalance: reservations.reserve_balance,
            OffsetDeficit: reservations.offset_deficit,
            ReleaseReservation: booking.release_reservation,
            InvoiceIssued: booking.invoice_issued,
            InvoiceFailed: booking.invoice_failed,
            InvoiceVoided: booking.invoice_voided,
            InvoiceCredited: booking.invoice_credited,
            AccountErased: parked.account_erased,
        },
        workers=[
            Job("hold", large_reservations.next_to_hold, large.hold_sums, large_reservations.set_aside),
            Job(
                "allocate",
                large_reservations.next_promise,
                large.allocate_items,
                large_reservations.set_promise_aside,
                concurrency=3,
            ),
            Job("answer", large_reservations.next_to_answer, large.answer_large, large_reservations.set_aside),
            Job("book", booking_tasks.next_task, booking.book_large, booking_tasks.set_aside),
            Job("openings", changes.next_openings, balances.openings_noted, idle_seconds=1.0),
            Worker(
                "refunds",
                billing_documents.claim_overdue,
                _nothing,
                intake.refund_overdue,
                concurrency=1,
                idle_seconds=1.0,
            ),
            Worker("balances", changes.claim, _nothing, balances.balances_published, concurrency=1),
        ],
        queues=QUEUES,
        routes=_routes,
    )


async def _nothing(_: object) -> None:
    """There is no outside to call; but what these claim must not stay locked: intake changes it all the time, in an order of its own."""


def _routes(runtime: Runtime) -> APIRouter:
    """What the gateway may ask: balances, months, cash, and what is behind them. Every route is about one account.

    Items come last: the number of one may be whatever a path goes on with.
    """
    router = APIRouter(prefix="/accounts/{account_id}")
    for room in (balances_api, explanation_api, items_api):
        router.include_router(room.routes(runtime))
    return router
