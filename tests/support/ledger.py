"""The ledger's handlers over one database, each in a transaction of its own, as a test calls them."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from services.ledger.balances import changes
from services.ledger.balances import store as pages
from services.ledger.balances.handlers import balances_published
from services.ledger.balances.rules import balance
from services.ledger.booking.handlers import (
    book_large,
    invoice_credited,
    invoice_failed,
    invoice_issued,
    release_reservation,
)
from services.ledger.booking.store import next_task
from services.ledger.intake.handlers import billing_facts
from services.ledger.journal import limits
from services.ledger.large_reservations import store as large_reservations
from services.ledger.large_reservations.handlers import allocate_items, answer_large, hold_sums
from services.ledger.reservations.handlers import offset_deficit, reserve_balance
from shared.contracts.billing import BillingFact
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, Share
from shared.contracts.ledger import (
    Balance,
    BalanceReserved,
    OffsetDeficit,
    ReleaseReservation,
    ReservationRefused,
    ReserveBalance,
)
from shared.contracts.message import Message, Park
from shared.domain.calendar import SHANGHAI
from shared.domain.catalogue import Catalogue
from shared.runtime.database import Database
from tests.support.examples import a_command, a_refund, an_order

MARCH_20 = datetime(2026, 3, 20, tzinfo=SHANGHAI)
ALLOCATING: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (large_reservations.next_to_hold, hold_sums),
    (large_reservations.next_to_answer, answer_large),
    (large_reservations.next_promise, allocate_items),
]
"""The jobs of large reservations: what is to be decided comes before what is to be allocated."""


def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four items make a reservation large, a step takes two, and items are looked at one by one."""
    for name, value in {"ITEMS_MAX": 3, "STEP_ITEMS": 2, "CHUNK_FIRST": 1, "CHUNK_MAX": 1}.items():
        monkeypatch.setattr(limits, name, value)


class Crash(Exception):  # noqa: N818
    """A process ended before COMMIT."""


class Ledger:
    """The ledger's handlers over one database, each in its own transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.catalogue = Catalogue.load()

    async def facts(self, *facts: BillingFact, now: datetime = MARCH_20) -> list[Message | Park]:
        async with self.database.transaction() as db:
            return await billing_facts(list(facts), db, now, catalogue=self.catalogue)

    async def bill(self, *facts: BillingFact, now: datetime = MARCH_20) -> list[str]:
        """Reasons of those that were parked."""
        return [answer.reason for answer in await self.facts(*facts, now=now) if isinstance(answer, Park)]

    async def asked(self, command: ReserveBalance, now: datetime = MARCH_20) -> list[Message]:
        """Nothing yet, if it is large."""
        async with self.database.transaction() as db:
            return await reserve_balance(command, db, now)

    async def ask(self, command: ReserveBalance, now: datetime = MARCH_20) -> Message:
        (answer,) = await self.asked(command, now)
        return answer

    def everything(self, request_id: int) -> ReserveBalance:
        return ReserveBalance(account_id=1, request_id=request_id, accounts=(1,))

    async def reserve(self, *numbers: str, request_id: int = 1, amount_fen: int | None = None) -> BalanceReserved:
        answer = await self.ask(a_command(*numbers, request_id=request_id, amount_fen=amount_fen))
        assert isinstance(answer, BalanceReserved), answer
        return answer

    async def refusal(
        self, *numbers: str, request_id: int = 1, amount_fen: int | None = None, now: datetime = MARCH_20
    ) -> ReservationRefused:
        answer = await self.ask(a_command(*numbers, request_id=request_id, amount_fen=amount_fen), now)
        assert isinstance(answer, ReservationRefused), answer
        return answer

    async def issued(self, reserved: BalanceReserved, part_id: int = 1, gross_fen: int | None = None) -> list[Message]:
        async with self.database.transaction() as db:
            return await invoice_issued(a_part(reserved, part_id, gross_fen), db, MARCH_20)

    async def failed(self, reserved: BalanceReserved, part_id: int = 1, gross_fen: int | None = None) -> None:
        part = a_part(reserved, part_id, gross_fen).model_dump() | {"reason": "BUYER_TAX_ID"}
        async with self.database.transaction() as db:
            await invoice_failed(InvoiceFailed.model_validate(part), db, MARCH_20)

    async def credited(
        self, reserved: BalanceReserved, part_id: int = 1, gross_fen: int | None = None
    ) -> list[Message]:
        red = {"red_number": "1" * 20, "credited_at": MARCH_20}
        part = InvoiceCredited.model_validate(a_part(reserved, part_id, gross_fen).model_dump() | red)
        async with self.database.transaction() as db:
            return await invoice_credited(part, db, MARCH_20)

    async def worked(
        self, claim: Callable[..., Any], outcome: Callable[..., Any], at: datetime = MARCH_20, steps: int = 1000
    ) -> list[Message]:
        """What a worker says until nothing is due for it, or so many times."""
        said: list[Message] = []
        for _ in range(steps):
            async with self.database.transaction() as db:
                claimed = await claim(db, at, at)
            if claimed is None:
                break
            async with self.database.transaction() as db:
                said += await outcome(claimed, None, db, at)
        return said

    async def allocated(self, steps: int = 1000) -> list[Message]:
        """So many steps of large reservations."""
        said: list[Message] = []
        for _ in range(steps):
            step = await self.allocating()
            if step is None:
                break
            said += step
        return said

    async def allocating(self, crashing: bool = False) -> list[Message] | None:
        """What the next step says; None when nothing is to be allocated."""
        for claim, work in ALLOCATING:
            said = await self.job(claim, work, crashing)
            if said is not None:
                return said
        return None

    async def job(
        self, claim: Callable[..., Any], work: Callable[..., Any], crashing: bool = False
    ) -> list[Message] | None:
        """What a job says, as its runner drives it; None when nothing is due. `crashing`: first it is lost, then done again."""
        if crashing:
            with contextlib.suppress(Crash):
                async with self.database.transaction() as db:
                    found = await claim(db, MARCH_20, MARCH_20)
                    if found is not None:
                        await work(found, db, MARCH_20)
                    raise Crash
        async with self.database.transaction() as db:
            found = await claim(db, MARCH_20, MARCH_20)
            said: list[Message] | None = None if found is None else await work(found, db, MARCH_20)
        return said

    async def booking(self, crashing: bool = False) -> list[Message] | None:
        return await self.job(next_task, book_large, crashing)

    async def booked(self) -> list[Message]:
        said: list[Message] = []
        while (step := await self.booking()) is not None:
            said += step
        return said

    async def balances_published(self, at: datetime = MARCH_20) -> list[Message]:
        """What is said of changed balances at that moment."""
        return await self.worked(changes.claim, balances_published, at)

    async def released(self, request_id: int = 1, account_id: int = 1) -> list[Message]:
        async with self.database.transaction() as db:
            return await release_reservation(
                ReleaseReservation(account_id=account_id, request_id=request_id), db, MARCH_20
            )

    async def in_deficit(self, fen: int = 20_000) -> None:
        """D1 was paid, invoiced in full and refunded by `fen`: `F1`."""
        await self.bill(an_order("D1", 100_000))
        await self.issued(await self.reserve("D1", request_id=1000), part_id=1000)
        await self.bill(a_refund("F1", of="D1", cash_fen=fen))

    async def pay_deficit(self, *numbers: str, amount_fen: int | None = None, request_id: int = 1) -> Message:
        command = OffsetDeficit(
            account_id=1,
            request_id=request_id,
            accounts=(1,),
            subject="ALIYUN_SERVICE",
            numbers=numbers,
            amount_fen=amount_fen,
        )
        async with self.database.transaction() as db:
            (answer,) = await offset_deficit(command, db, MARCH_20)
        return answer

    async def places(self) -> dict[str, tuple[int, int, int, int]]:
        """Invoiceable, reserved, invoiced and offset fen of each document."""
        async with self.database.read() as db:
            rows = await db.fetch("SELECT number, invoiceable_fen, reserved_fen, invoiced_fen, offset_fen FROM item")
        return {row["number"]: tuple(row)[1:] for row in rows}

    async def balance(self, now: datetime = MARCH_20, subject: str = "ALIYUN_SERVICE") -> Balance | None:
        async with self.database.read() as db:
            found = {one.subject: balance(one) for one in await pages.sums(db, 1, now)}
        return found.get(subject)

    async def figures(self) -> tuple[int, int, int, int]:
        """Invoiced, in progress, available, deficit."""
        found = await self.balance()
        assert found is not None
        return found.invoiced_fen, found.in_progress_fen, found.available_fen, found.deficit_fen


def a_part(reserved: BalanceReserved, part_id: int, gross_fen: int | None = None) -> InvoiceIssued:
    """Over all that is reserved, or over so much of the first group."""
    first = [Share(group_no=1, amount_fen=gross_fen)] if gross_fen else []
    whole = [Share(group_no=group.group_no, amount_fen=group.amount_fen) for group in reserved.groups]
    return InvoiceIssued.model_validate(
        {
            "account_id": reserved.account_id,
            "request_id": reserved.request_id,
            "part_id": part_id,
            "reservation_id": reserved.reservation_id,
            "subject": "ALIYUN_SERVICE",
            "legal_entity": "ALIYUN",
            "content": "ALIYUN/soft",
            "tax_percent": 6,
            "kind": "general",
            "gross_fen": gross_fen or reserved.total_fen,
            "net_fen": gross_fen or reserved.total_fen,
            "tax_fen": 0,
            "shares": first or whole,
            "serial": "0" * 20,
            "number": "0" * 20,
            "issued_at": MARCH_20,
            "specimen": True,
        }
    )
