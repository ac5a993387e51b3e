"""What operators ask of a service over HTTP: its parked records, page by page and by filter; to run them again or to dismiss them.

A list says where it goes on (`next`), and a search that had to look at very much too: nothing ends without a word. Content is shown only to
who asks for it by name, and that is logged.
"""

from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from shared.contracts.message import LARGEST_ID, Id, Unacceptable
from shared.runtime import parked
from shared.runtime.about import sayable
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.parked import ParkedContent, Status
from shared.runtime.parked_pages import PAGE_MAX, Content, ParkedShown, Wanted, content_of, page
from shared.runtime.service import Runtime

NEXT = "next-after"
"""A header: look on after this one. Without it the list is at its end."""

log = structlog.get_logger()

After = Annotated[int, Query(ge=0, le=LARGEST_ID)]
Shown = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")]


class Who(BaseModel):
    by: Annotated[str, Field(min_length=1, max_length=100)]


class Decision(Who):
    comment: Annotated[str, Field(max_length=400)] = ""


class Redriven(BaseModel):
    """What came of it: `redriven`, or still open and why."""

    parked_id: int
    status: Status
    reason: str
    text: str


def asked_by(who: str, what: str, **ids: int) -> None:
    """A line of the log for what an operator asks a service to do."""
    log.warning(what, by=who, **ids)


def routes(runtime: Runtime, not_parked: Callable[[int], Exception]) -> APIRouter:
    """`not_parked` makes the problem that is told of an id that is none."""
    router = APIRouter(prefix="/ops")

    @router.get("/parked")
    async def parked_list(
        response: Response,
        status: Status = "open",
        after: After = 0,
        reason: Shown | None = None,
        account_id: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
        type: Shown | None = None,  # noqa: A002 - as it is called in a CloudEvent
        since: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> list[ParkedShown]:
        wanted = Wanted(status, reason, account_id, type, since)
        async with runtime.read() as db:
            found = await page(db, wanted, after, limit, runtime.parking)
        if found.next is not None:
            response.headers[NEXT] = str(found.next)
        return found.records

    @router.get("/parked/{parked_id}")
    async def parked_show(parked_id: Id) -> ParkedContent:
        async with runtime.read() as db:
            found = await parked.parked_record(db, parked_id, runtime.parking)
        if found is None:
            raise not_parked(parked_id)
        told = {
            name: sayable(getattr(found, name))
            for name in ("event_id", "source", "type", "event_source", "event_type", "number")
        }
        return found.model_copy(update=told)

    @router.post("/parked/{parked_id}/content")
    async def parked_content(parked_id: Id, who: Who) -> Content:
        async with runtime.read() as db:
            found = await content_of(db, parked_id, runtime.parking)
        if found is None:
            raise not_parked(parked_id)
        log.warning("parked_content_shown", parked_id=parked_id, by=who.by)
        return found

    @router.post("/parked/{parked_id}/redrive")
    async def parked_redrive(parked_id: Id, decision: Decision) -> Redriven:
        await open_one(parked_id)
        return await _redriven(runtime, parked_id, decision.by)

    @router.post("/parked/{parked_id}/dismiss")
    async def parked_dismiss(parked_id: Id, decision: Decision) -> dict[str, str]:
        await open_one(parked_id)
        try:
            await parked.dismiss(runtime.database, parked_id, decision.by, decision.comment, runtime.clock)
        except LookupError:  # somebody else was faster
            raise not_parked(parked_id) from None
        log.info("parked_dismissed", parked_id=parked_id, by=decision.by)
        return {"status": "dismissed"}

    async def open_one(parked_id: int) -> None:
        async with runtime.read() as db:
            found = await parked.parked_record(db, parked_id, runtime.parking)
        if found is None or found.status != "open":
            raise not_parked(parked_id)

    return router


async def _redriven(runtime: Runtime, parked_id: int, by: str) -> Redriven:
    """Whatever it fails with is told: a bug by the kind of its error, for its text may be personal."""
    failed: tuple[str, str] | None = None
    try:
        await parked.redrive(runtime.database, runtime.consumers, parked_id, by, runtime.clock, runtime.parking)
    except TRANSIENT_ERRORS:
        raise
    except Unacceptable as error:
        failed = error.reason, error.text
    except Exception as error:  # noqa: BLE001 - an operator asked, and is told
        kind = type(error).__name__
        failed = "FAILED_AGAIN", f"its handler failed with {kind}; mend that, restart the service, and redrive it"
    async with runtime.read() as db:
        found = await parked.parked_record(db, parked_id, runtime.parking)
    assert found is not None, "parked records are never deleted"
    reason, text = failed or (found.reason, found.text)
    log.info("parked_redriven", parked_id=parked_id, by=by, status=found.status, reason=reason)
    return Redriven(parked_id=parked_id, status=found.status, reason=reason, text=text)
