"""Credit notes of an account over HTTP."""

from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Header, Query, Response

from services.invoicing.accounts.problems import not_found, problem
from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes import handlers, store
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.submissions.rules import FAILED
from shared.contracts.http.invoicing import CreditNoteView
from shared.contracts.http.paging import FIRST, Before
from shared.contracts.intents import CreditNoteRequest, IdempotencyKey
from shared.contracts.message import AccountId, Id, Number
from shared.domain.refusals import platform_text
from shared.runtime.service import Runtime
from shared.runtime.web import Problem


def routes(runtime: Runtime, *, wait_seconds: float) -> APIRouter:
    router = APIRouter()

    @router.post("/invoices/{number}/credit-notes")
    async def post_credit_note(
        account_id: AccountId,
        number: Number,
        body: CreditNoteRequest,
        idempotency_key: Annotated[IdempotencyKey, Header()],
        response: Response,
    ) -> CreditNoteView:
        """The platform's word if it comes in time, else that the credit note is accepted."""
        form_number = body.red_form_number or ""
        intent = CreditNoteIntent(
            account_id, idempotency_key, number, body.reason, body.recorded, form_number, body.remark
        )
        answer = await runtime.intent(handlers.request_credit_note, intent)
        if isinstance(answer, Refused):
            raise problem(answer)
        found = await runtime.wait_for(
            "credit_answered",
            f"{account_id}:{answer.credit_note_id}",
            lambda db: store.answered_credit_note(db, account_id, answer.credit_note_id),
            wait_seconds if body.wait_seconds is None else body.wait_seconds,
        )
        if found is not None and found["status"] == FAILED:
            raise _refused_by_platform(found)
        response.status_code = 202 if found is None else 201
        return await _view(runtime, account_id, answer.credit_note_id)

    @router.get("/credit-notes")
    async def list_credit_notes(
        account_id: AccountId,
        before: Before = FIRST,
        limit: Annotated[int, Query(ge=1, le=store.PAGE_MAX)] = 50,
    ) -> list[CreditNoteView]:
        async with runtime.read(account_id) as db:
            return [CreditNoteView(**row) for row in await store.credit_notes_before(db, account_id, before, limit)]

    @router.get("/credit-notes/{credit_note_id}")
    async def get_credit_note(account_id: AccountId, credit_note_id: Id) -> CreditNoteView:
        return await _view(runtime, account_id, credit_note_id)

    return router


async def _view(runtime: Runtime, account_id: int, credit_note_id: int) -> CreditNoteView:
    async with runtime.read(account_id) as db:
        row = await store.credit_note(db, account_id, credit_note_id)
    if row is None:
        raise not_found("credit note", str(credit_note_id))
    return CreditNoteView(**row)


def _refused_by_platform(row: Record) -> Problem:
    """The invoice stands as before, which is said too."""
    values = {name: row[name] for name in ("credit_note_id", "number", "red_form_number", "text")}
    status, code, title, detail = platform_text(row["failure"], values).problem
    return Problem(status, code, title, f"{detail} The invoice stands as before.", **values)
