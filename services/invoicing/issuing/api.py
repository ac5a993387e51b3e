"""Invoices of an account over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.invoicing.accounts.problems import not_found
from services.invoicing.issuing import pages
from shared.contracts.http.invoicing import InvoiceView
from shared.contracts.http.paging import FIRST, Before
from shared.contracts.message import AccountId, Number
from shared.runtime.service import Runtime


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()

    @router.get("/invoices")
    async def list_invoices(
        account_id: AccountId,
        before: Before = FIRST,
        limit: Annotated[int, Query(ge=1, le=pages.PAGE_MAX)] = 50,
    ) -> list[InvoiceView]:
        async with runtime.read(account_id) as db:
            return [InvoiceView(**row) for row in await pages.invoices_before(db, account_id, before, limit)]

    @router.get("/invoices/{number}")
    async def get_invoice(account_id: AccountId, number: Number) -> InvoiceView:
        async with runtime.read(account_id) as db:
            row = await pages.invoice(db, account_id, number)
        if row is None:
            raise not_found("invoice", number)
        return InvoiceView(**row)

    return router
