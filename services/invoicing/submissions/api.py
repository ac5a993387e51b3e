"""Where the tax platform calls back. It signs what it says, and what it says only makes us ask."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from fastapi import APIRouter, Request

from services.invoicing.submissions import handlers
from services.invoicing.submissions.rules import call_about
from services.invoicing.submissions.store import SubmissionTable
from shared.domain.identifiers import Kind
from shared.domain.refusals import Refusal, text_of
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

CalledAbout = Callable[[bytes, Mapping[str, str], datetime], tuple[str, str] | None]
"""From the body and the headers of a callback, and the time it is, to the serial it speaks of and what names the call."""


def routes(runtime: Runtime, *, called_about: CalledAbout, tables: Mapping[Kind, SubmissionTable]) -> APIRouter:
    router = APIRouter()
    platform_called = partial(handlers.platform_called, tables=tables)

    @router.post("/tax-platform/callbacks", status_code=204, include_in_schema=False)
    async def called(request: Request) -> None:
        said = called_about(await request.body(), request.headers, runtime.clock.real())
        if said is None:
            raise Problem(*text_of(Refusal.BAD_SIGNATURE).problem)
        call = call_about(*said)
        if call is not None:
            await runtime.intent(platform_called, call)

    return router
