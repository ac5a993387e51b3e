"""The ledger: what may still be invoiced. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from services.ledger import api, handlers
from services.ledger.store import allocations, bookings, changes, papers
from shared.contracts.accounts import CashToppedUp
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, InvoiceVoided
from shared.contracts.ledger import OffsetDeficit, ReleaseReservation, ReserveBalance
from shared.contracts.message import Message
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Worker

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
            Worker("hold", allocations.next_wanted, _nothing, handlers.hold_sums, concurrency=1),
            Worker("take", allocations.next_remainder, _nothing, handlers.take_items, concurrency=3),
            Worker("answer", allocations.next_taken, _nothing, handlers.answer_large, concurrency=1),
            Worker("book", bookings.next_order, _nothing, handlers.book_large, concurrency=1),
            Worker("refunds", papers.claim_overdue, _nothing, handlers.refund_overdue, concurrency=1, idle_seconds=1.0),
            Worker("openings", changes.note_openings, _nothing, _settled, concurrency=1, idle_seconds=1.0),
            Worker("balances", changes.claim, _nothing, handlers.balances_published, concurrency=1),
        ],
        routes=api.routes,
    )


async def _nothing(_: object) -> None:
    """There is no outside to call."""


async def _settled(*_: object) -> list[Message]:
    """All was done with the claim."""
    return []
