"""The ledger's handlers, each in its transaction, told what happens to one account."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from asyncpg import Connection

from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from services.ledger.booking.handlers import invoice_credited, invoice_failed, invoice_issued, release_reservation
from services.ledger.intake.handlers import billing_facts
from services.ledger.reservations.handlers import offset_deficit, reserve_balance
from shared.contracts.billing import BillingFact
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed, InvoiceIssued, PartFact, Share
from shared.contracts.ledger import (
    BalanceReserved,
    OffsetDeficit,
    ReleaseReservation,
    ReservationImpaired,
    ReservationRefused,
    ReservationReleased,
    ReserveBalance,
)
from shared.contracts.message import Message, Park, Unacceptable
from shared.domain.catalogue import Catalogue
from shared.runtime.database import Database
from tests.support.examples import MARCH_10, a_refund, an_order
from tests.support.ledger import MARCH_20, a_part
from tests.support.ledger_model import Answer, Figures, split

CATALOGUE = Catalogue.load()
ACCOUNTS = itertools.count(1)
"""Each book is of an account of its own."""


BOOKINGS: dict[str, Callable[[Any, Connection, datetime], Awaitable[list[Message]]]] = {
    "issued": invoice_issued,
    "released": invoice_failed,
    "credited": invoice_credited,
}
KINDS: dict[str, type[PartFact]] = {"issued": InvoiceIssued, "released": InvoiceFailed, "credited": InvoiceCredited}
MORE = {"reason": "X", "red_number": "1" * 20, "credited_at": MARCH_20}


class Books:
    """The handlers, each in its transaction, told what happens to one account."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.account_id = next(ACCOUNTS)
        self.now = MARCH_20
        self.reserved: dict[int, BalanceReserved] = {}

    async def settle(self, number: str, subject: str, fen: int) -> set[int]:
        at = MARCH_10 + timedelta(minutes=int(number[1:]))
        return await self._bill(an_order(number, fen, self.account_id, subject, at))

    async def refund(self, number: str, of: str, fen: int) -> set[int]:
        return await self._bill(a_refund(number, of, fen, self.account_id))

    async def _bill(self, fact: BillingFact) -> set[int]:
        """The requests that are told that it affected what they hold."""
        said = await self._told(partial(billing_facts, [fact], catalogue=CATALOGUE))
        return {one.request_id for one in said if isinstance(one, ReservationImpaired)}

    async def reserve(self, request: int, numbers: Sequence[str], subject: str | None, amount: int | None) -> Answer:
        command = ReserveBalance(
            account_id=self.account_id,
            request_id=request,
            accounts=(self.account_id,),
            numbers=tuple(numbers),
            subject=subject,
            amount_fen=amount,
        )
        return self._answer(await self._told(partial(reserve_balance, command)))

    async def offset(self, request: int, numbers: Sequence[str], subject: str, amount: int | None) -> Answer:
        command = OffsetDeficit(
            account_id=self.account_id,
            request_id=request,
            accounts=(self.account_id,),
            numbers=tuple(numbers),
            subject=subject,
            amount_fen=amount,
        )
        return self._answer(await self._told(partial(offset_deficit, command)))

    def _answer(self, said: Sequence[Message | Park]) -> Answer:
        (answer,) = [one for one in said if isinstance(one, BalanceReserved | ReservationRefused)]
        if isinstance(answer, ReservationRefused):
            return answer.reason, dict(answer.detail)
        self.reserved[answer.request_id] = answer
        figures = Counter({group.subject: group.amount_fen for group in answer.groups})
        assert len(figures) == len(answer.groups), "one group for each subject"
        assert answer.total_fen == sum(figures.values())
        for pair in answer.offsets:
            figures[pair.from_number] += pair.amount_fen
        return "reserved", dict(figures)

    async def book(self, request: int, part: int, wanted: str) -> None:
        if part < 0:
            return  # there is none: the request paid a deficit and no more
        with contextlib.suppress(Unacceptable):  # a credit note before its invoice waits, parked
            await self._told(partial(BOOKINGS[wanted], self._part(request, part, wanted)))

    def _part(self, request: int, part: int, wanted: str) -> PartFact:
        """Invoicing splits each group into the same parts as the model."""
        reserved = self.reserved[request]
        groups = {group.subject: group for group in reserved.groups}
        parts = [
            Share(group_no=groups[subject].group_no, amount_fen=fen)
            for subject, fen in split({subject: group.amount_fen for subject, group in groups.items()})
        ]
        fact = a_part(reserved, part_id=100 * request + part)
        said = {"account_id": self.account_id, "shares": (parts[part],), "gross_fen": parts[part].amount_fen}
        return KINDS[wanted].model_validate(
            {
                name: value
                for name, value in (fact.model_dump() | said | MORE).items()
                if name in KINDS[wanted].model_fields
            }
        )

    async def release(self, request: int) -> int | None:
        command = ReleaseReservation(account_id=self.account_id, request_id=request)
        said = await self._told(partial(release_reservation, command))
        return next((one.released_fen for one in said if isinstance(one, ReservationReleased)), None)

    async def _told(
        self, handler: Callable[[Connection, datetime], Awaitable[Sequence[Message | Park]]]
    ) -> Sequence[Message | Park]:
        self.now += timedelta(seconds=1)
        async with self.database.transaction() as db:
            return await handler(db, self.now)

    # what is to be seen

    async def state(self) -> dict[str, Figures]:
        query = """
            SELECT number, refunded_fen, invoiceable_fen, reserved_fen, invoiced_fen, offset_fen FROM item WHERE account_id = $1
        """
        async with self.database.read() as db:
            return {row[0]: tuple(row)[1:] for row in await db.fetch(query, self.account_id)}

    async def balances(self) -> dict[str, tuple[int, int]]:
        async with self.database.read() as db:
            found = [balance(one) for one in await pages.sums(db, self.account_id, self.now)]
        return {one.subject: (one.available_fen, one.deficit_fen) for one in found}
