"""Where the tax platform calls back. It signs what it says, and what it says only makes us ask."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request

from services.invoicing.submissions import handlers
from services.invoicing.submissions.rules import call_about
from services.invoicing.submissions.store import SubmissionTable
from shared.domain.identifiers import Kind
from shared.domain.refusals import Refusal, text_of
from shared.runtime.service import Runtime
from shared.runtime.web import Problem

CalledAbout = Callable[[bytes, str], str | None]
"""From the body and the signature of a callback to the serial it speaks of."""


def routes(runtime: Runtime, *, called_about: CalledAbout, tables: Mapping[Kind, SubmissionTable]) -> APIRouter:
    router = APIRouter()
    platform_called = partial(handlers.platform_called, tables=tables)

    @router.post("/tax-platform/callbacks", status_code=204, include_in_schema=False)
    async def called(request: Request, signature: Annotated[str, Header()] = "") -> None:
        serial = called_about(await request.body(), signature)
        if serial is None:
            raise Problem(*text_of(Refusal.BAD_SIGNATURE).problem)
        call = call_about(serial)
        if call is not None:
            await runtime.intent(platform_called, call)

    return router
