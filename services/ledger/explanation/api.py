"""What is behind a figure: the terms of a balance, the documents of a term, the history of a document."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Annotated

from asyncpg import Record
from fastapi import APIRouter, Query

from services.ledger.explanation import store
from services.ledger.explanation.rules import Cause, cause_of, explain
from services.ledger.queries import problems
from services.ledger.queries.asking import BY_MOVE, BY_TIME, Paged, Past
from shared.contracts.http.ledger import (
    DocumentPage,
    DocumentView,
    ExplanationView,
    MovePage,
    MoveView,
    Term,
)
from shared.contracts.message import AccountId, Code, Number
from shared.domain.catalogue import Catalogue
from shared.runtime.service import Runtime


class OfSubject(Past):
    subject: Code


class TermSearch(OfSubject, Paged):
    pass


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
            parts = await store.parts(db, account_id, asked.subject, now, as_of)
        if asked.subject not in catalogue.subjects and not any(parts.values()):
            raise problems.no_such_subject(asked.subject, [*catalogue.subjects])
        shown = asdict(explain(parts)) | {"subject": asked.subject, "as_of": (as_of or now).astimezone(UTC)}
        return ExplanationView.model_validate(shown)

    @router.get("/explanation/{term}")
    async def documents(account_id: AccountId, term: Term, asked: Annotated[TermSearch, Query()]) -> DocumentPage:
        now, after = runtime.clock.now(), BY_TIME.after(asked.cursor)
        as_of = asked.moment(now)
        async with runtime.read(account_id) as db:
            rows = await store.documents(db, account_id, asked.subject, term, now, as_of, after, asked.limit)
            found = [row["item_id"] for row in rows if term != WHOLE]
            caused = await store.causes(db, account_id, found, term, as_of or now)
        shown = [DocumentView.model_validate(dict(row) | {"causes": _causes(row, caused)}) for row in rows]
        return DocumentPage(documents=shown, next=None if term == WHOLE else BY_TIME.cursor(rows, asked.limit))

    @router.get("/items/{number:path}/moves")
    async def moves(account_id: AccountId, number: Number, asked: Annotated[Paged, Query()]) -> MovePage:
        after = BY_MOVE.after(asked.cursor)
        async with runtime.read(account_id) as db:
            rows = await store.moves(db, account_id, number, after, asked.limit)
            if not rows and asked.cursor is None:
                raise problems.no_such_item(number, await store.found_elsewhere(db, account_id, number))
        return MovePage(moves=list(map(_move, rows)), next=BY_MOVE.cursor(rows, asked.limit))

    return router


def _causes(document: Record, caused: Sequence[Record]) -> list[dict[str, object]]:
    mine = [one for one in caused if one["item_id"] == document["item_id"]]
    return [asdict(cause_of(one["cause"])) | {"fen": one["fen"]} for one in mine]


def _move(row: Record) -> MoveView:
    cause = Cause("settled", row["number"], row["line"]) if row["cause"] is None else cause_of(row["cause"])
    return MoveView.model_validate(dict(row) | {"cause": asdict(cause)})
