"""The ledger: what may still be invoiced. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from services.ledger import handlers
from services.ledger.balances import api, changes
from services.ledger.booking import store as bookings
from services.ledger.intake import billing_documents as papers
from services.ledger.large_reservations import store as allocations
from shared.contracts.accounts import CashToppedUp
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, InvoiceVoided
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation, ReserveBalance
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Job, Worker

MIGRATIONS = Path(__file__).parent / "migrations"


def build(_: Settings) -> Service:
    return Service(
        "ledger",
        MIGRATIONS,
        batches={"billing.events": partial(handlers.billing_facts, catalogue=Catalogue.load())},
        handlers={
            CashToppedUp: handlers.cash_topped_up,
            ReserveBalance: handlers.reserve_balance,
            OffsetDeficit: handlers.offset_deficit,
            ReleaseReservation: handlers.release_reservation,
            InvoiceIssued: handlers.invoice_issued,
            InvoiceFailed: handlers.invoice_failed,
            InvoiceVoided: handlers.invoice_voided,
            InvoiceCredited: handlers.invoice_credited,
        },
        workers=[
            Job("hold", allocations.next_wanted, handlers.hold_sums, allocations.set_aside),
            Job(
                "take", allocations.next_remainder, handlers.take_items, allocations.set_remainder_aside, concurrency=3
            ),
            Job("answer", allocations.next_taken, handlers.answer_large, allocations.set_aside),
            Job("book", bookings.next_order, handlers.book_large, bookings.set_aside),
            Job("openings", changes.next_openings, handlers.openings_noted, idle_seconds=1.0),
            Worker("refunds", papers.claim_overdue, _nothing, handlers.refund_overdue, concurrency=1, idle_seconds=1.0),
            Worker("balances", changes.claim, _nothing, handlers.balances_published, concurrency=1),
        ],
        routes=api.routes,
    )


async def _nothing(_: object) -> None:
    """There is no outside to call; but what these claim must not stay locked: intake changes it all the time, in an order of its own."""
