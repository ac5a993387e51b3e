"""A ledger with a clock of its own, asked over HTTP: what happens, happens at a moment that a test names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from services.ledger.app import build
from services.ledger.booking.handlers import invoice_credited, invoice_failed, invoice_issued, release_reservation
from services.ledger.reservations.handlers import offset_deficit
from shared.contracts.billing import BillingFact, Line, OrderPaid, UsageRecorded
from shared.contracts.invoicing import InvoiceCredited, InvoiceFailed
from shared.contracts.ledger import BalanceReserved, OffsetDeficit, ReleaseReservation
from shared.runtime.clock import VirtualClock, uuid7
from shared.runtime.memory import MemoryLog, MemoryTransport
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.web import web_app
from tests.support.edge import TOKEN, asking
from tests.support.examples import MARCH_10, a_command
from tests.support.ledger import Ledger, a_part

SUBJECT = "ALIYUN_SERVICE"


def a_line(cash_fen: int, **more: Any) -> Line:  # noqa: ANN401 - fields of a line
    return Line(**({"subject": SUBJECT, "cash_fen": cash_fen} | more))


def an_order_of(*lines: Line, number: str = "O1", at: datetime = MARCH_10, **more: Any) -> OrderPaid:  # noqa: ANN401
    return OrderPaid(account_id=1, number=number, occurred_at=at, lines=lines, **more)


def a_usage(number: str = "U1", cash_fen: int = 500, at: datetime = MARCH_10) -> UsageRecorded:
    return UsageRecorded(account_id=1, number=number, occurred_at=at, lines=(a_line(cash_fen),))


@dataclass
class Story:
    """Of account 1."""

    ledger: Ledger
    clock: VirtualClock
    http: httpx2.AsyncClient

    def at(self, moment: datetime) -> "Story":
        self.clock.set(moment)
        return self

    async def bill(self, *facts: BillingFact) -> None:
        assert await self.ledger.bill(*facts, now=self.clock.now()) == []

    async def reserve(self, *numbers: str, request_id: int = 1, amount_fen: int | None = None) -> BalanceReserved:
        command = a_command(*numbers, request_id=request_id, amount_fen=amount_fen)
        answer = await self.ledger.ask(command, self.clock.now())
        assert isinstance(answer, BalanceReserved), answer
        return answer

    async def issued(self, reserved: BalanceReserved, part_id: int = 1) -> None:
        async with self.ledger.database.transaction() as db:
            await invoice_issued(a_part(reserved, part_id), db, self.clock.now())

    async def failed(self, reserved: BalanceReserved, part_id: int = 1) -> None:
        part = InvoiceFailed.model_validate(a_part(reserved, part_id).model_dump() | {"reason": "BUYER_TAX_ID"})
        async with self.ledger.database.transaction() as db:
            await invoice_failed(part, db, self.clock.now())

    async def credited(self, reserved: BalanceReserved, part_id: int = 1) -> None:
        red = {"red_number": "1" * 20, "credited_at": self.clock.now()}
        part = InvoiceCredited.model_validate(a_part(reserved, part_id).model_dump() | red)
        async with self.ledger.database.transaction() as db:
            await invoice_credited(part, db, self.clock.now())

    async def released(self, request_id: int) -> None:
        command = ReleaseReservation(account_id=1, request_id=request_id)
        async with self.ledger.database.transaction() as db:
            await release_reservation(command, db, self.clock.now())

    async def pay_deficit(self, request_id: int) -> None:
        command = OffsetDeficit(account_id=1, request_id=request_id, accounts=(1,), subject=SUBJECT)
        async with self.ledger.database.transaction() as db:
            await offset_deficit(command, db, self.clock.now())

    async def get(self, path: str, **asked: Any) -> Any:  # noqa: ANN401 - any JSON
        answer = await self.http.get(f"/accounts/1{path}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, **asked: Any) -> tuple[int, Any]:  # noqa: ANN401
        answer = await self.http.get(f"/accounts/1{path}", params=asked)
        return answer.status_code, answer.json()

    async def pages(self, path: str, rows: str, limit: int = 2, **asked: Any) -> list[Any]:  # noqa: ANN401
        """All rows of all pages."""
        found: list[Any] = []
        page = await self.get(path, limit=limit, **asked)
        while page["next"] is not None:
            found += page[rows]
            page = await self.get(path, limit=limit, cursor=page["next"], **asked)
        found += page[rows]
        return found


@asynccontextmanager
async def telling(ledger: Ledger, begins: datetime = MARCH_10) -> AsyncIterator[Story]:
    clock = VirtualClock(begins)
    runtime = Runtime(build(Settings()), ledger.database, MemoryTransport(MemoryLog()), clock, uuid7, "1")
    app = web_app(runtime, TOKEN, "ledger")
    async with asking(app, {"Authorization": f"Bearer {TOKEN}"}) as http:
        yield Story(ledger, clock, http)
