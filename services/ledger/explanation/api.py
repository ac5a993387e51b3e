"""What is behind a figure: the terms of a balance, the documents of a term or a request, the history of a document."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query

from services.ledger.explanation import store as explaining
from services.ledger.explanation.rules import Cause, cause_of, explain
from services.ledger.items import store as searching
from services.ledger.items.api import no_such_item
from services.ledger.queries.asking import BY_MOVE, BY_PLACE, BY_TIME, OfSubject, Paged, TermSearch
from shared.contracts.http.ledger import (
    DocumentPage,
    DocumentView,
    ExplanationView,
    MovePage,
    MoveView,
    ReservedPage,
    ReservedView,
    Term,
)
from shared.contracts.message import AccountId, Id, Number
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

WHOLE = "in_allocation"
"""Of this term there are no documents yet, only a few months, on one page."""


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter()
    catalogue = Catalogue.load()

    @router.get("/explanation")
    async def explanation(account_id: AccountId, asked: Annotated[OfSubject, Query()]) -> ExplanationView:
        now = runtime.clock.now()
        as_of = asked.moment(now)
        async with runtime.read(account_id) as db:
            parts = await explaining.parts(db, account_id, asked.subject, now, as_of)
        if asked.subject not in catalogue.subjects and not any(parts.values()):
            raise _unknown_subject(asked.subject, catalogue)
        shown = asdict(explain(parts)) | {"subject": asked.subject, "as_of": (as_of or now).astimezone(UTC)}
        return ExplanationView.model_validate(shown)

    @router.get("/explanation/{term}")
    async def documents(account_id: AccountId, term: Term, asked: Annotated[TermSearch, Query()]) -> DocumentPage:
        now, after = runtime.clock.now(), BY_TIME.after(asked.cursor)
        as_of = asked.moment(now)
        async with runtime.read(account_id) as db:
            rows = await explaining.documents(db, account_id, asked.subject, term, now, as_of, after, asked.limit)
            found = [row["item_id"] for row in rows if term != WHOLE]
            caused = await explaining.causes(db, account_id, found, term, as_of or now)
        shown = [DocumentView.model_validate(dict(row) | {"causes": _causes(row, caused)}) for row in rows]
        return DocumentPage(documents=shown, next=None if term == WHOLE else BY_TIME.cursor(rows, asked.limit))

    @router.get("/items/{number:path}/moves")
    async def moves(account_id: AccountId, number: Number, asked: Annotated[Paged, Query()]) -> MovePage:
        after = BY_MOVE.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await explaining.moves(db, account_id, number, after, asked.limit)
            if not rows and asked.cursor is None:
                raise await no_such_item(db, account_id, number)
        return MovePage(moves=list(map(_move, rows)), next=BY_MOVE.cursor(rows, asked.limit))

    @router.get("/reservations/{request_id}/items")
    async def reserved(account_id: AccountId, request_id: Id, asked: Annotated[Paged, Query()]) -> ReservedPage:
        after = BY_PLACE.after(asked.cursor)
        async with runtime.read(account_id) as db:
            reservation_id = await searching.reservation_of(db, account_id, request_id)
            if reservation_id is None:
                raise _nothing_reserved(request_id)
            rows = await searching.reserved_items(db, account_id, reservation_id, after, asked.limit)
        shown = [ReservedView.model_validate(dict(row)) for row in rows]
        return ReservedPage(items=shown, next=BY_PLACE.cursor(rows, asked.limit))

    return router


def _causes(document: Record, caused: Sequence[Record]) -> list[dict[str, object]]:
    mine = [one for one in caused if one["item_id"] == document["item_id"]]
    return [asdict(cause_of(one["cause"])) | {"fen": one["fen"]} for one in mine]


def _move(row: Record) -> MoveView:
    cause = Cause("settled", row["number"], row["line"]) if row["cause"] is None else cause_of(row["cause"])
    return MoveView.model_validate(dict(row) | {"cause": asdict(cause)})


def _unknown_subject(subject: str, catalogue: Catalogue) -> Problem:
    detail = f"There is no subject {subject}; name one of {', '.join(catalogue.subjects)}."
    return Problem(404, "NO_SUCH_SUBJECT", "No such subject", detail, subject=subject)


def _nothing_reserved(request_id: int) -> Problem:
    detail = (
        f"Nothing was reserved for request {request_id}: it was refused, is not decided yet, or is not this account's."
    )
    return Problem(404, "NOT_FOUND", "Nothing reserved", detail, request_id=request_id)
