"""HTTP as every service speaks it: problems (RFC 9457) with stable codes, health, metrics, parked records, the service token."""

import hmac
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import AwareDatetime, BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from shared.contracts.http.problem import ProblemView
from shared.runtime import metrics, operations, tracing
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.http_metrics import HttpMetrics
from shared.runtime.service import Runtime
from shared.runtime.shared_clock import NotAcknowledged, SharedClock, TimeCannotGoBack
from shared.runtime.watchdog import Watchdog

PROBLEM = "application/problem+json"
SHOWN_MAX = 200
SCHEMA = "#/components/schemas/{model}"


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A "no" to somebody who asked over HTTP: what was wrong, with which value, and what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,  # noqa: ANN401 - any JSON
    ) -> None:
        super().__init__(code)
        self.status = status
        self.headers = dict(headers or {})
        self.content: dict[str, Any] = {
            "type": f"urn:kaipiao:problem:{code}",
            "status": status,
            "code": code,
            "title": title,
            "detail": detail,
            **members,
        }

    def response(self) -> JSONResponse:
        trace_id = tracing.trace_id()
        content = self.content | ({"trace_id": trace_id} if trace_id else {})
        return JSONResponse(content, self.status, self.headers, PROBLEM)


def service_token(expected: str) -> Any:  # noqa: ANN401 - FastAPI's dependency
    async def check(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {expected}".encode()):
            raise Problem(
                401,
                "UNAUTHORIZED",
                "No valid token",
                "Send `Authorization: Bearer <token>` with the token of this system.",
            )

    return Depends(check)


class WebApp(FastAPI):
    """Says in /openapi.json that every "no" is a problem. FastAPI by itself describes errors as plain JSON."""

    def __init__(self, title: str) -> None:
        content = {PROBLEM: {"schema": {"$ref": SCHEMA.format(model=ProblemView.__name__)}}}
        problem = {"description": "A problem: what was wrong, and what to do", "content": content}
        super().__init__(title=title, docs_url=None, redoc_url=None, responses={"default": problem})

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        _, models = models_json_schema([(ProblemView, "validation")], ref_template=SCHEMA)
        described.setdefault("components", {}).setdefault("schemas", {}).update(models["$defs"])
        return described


def web_app(
    runtime: Runtime, token: str, watchdog: Watchdog, title: str, shared_clock: SharedClock | None = None
) -> FastAPI:
    app = WebApp(title)
    app.add_middleware(HttpMetrics)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for error in TRANSIENT_ERRORS:
        app.add_exception_handler(error, _away)
    app.add_exception_handler(Exception, _bug)
    app.include_router(_health(runtime, watchdog))
    app.include_router(
        operations.routes(runtime, _not_parked), dependencies=[service_token(token)], include_in_schema=False
    )
    app.include_router(_clock(runtime, shared_clock), dependencies=[service_token(token)], include_in_schema=False)
    if runtime.service.routes is not None:
        app.include_router(runtime.service.routes(runtime), dependencies=[service_token(token)])
    if runtime.service.public_routes is not None:
        app.include_router(runtime.service.public_routes(runtime))
    return app


def _health(runtime: Runtime, watchdog: Watchdog) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> JSONResponse:
        reason = watchdog.reason()
        return JSONResponse({"live": reason is None, "reason": reason}, 200 if reason is None else 503)

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        checks = {
            "database": await _database_answers(runtime),
            "kafka": runtime.transport.assigned(),
            "migrations": True,
        }
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    @router.get("/metrics")
    async def show_metrics() -> PlainTextResponse:
        await _look_at_tables(runtime)
        return PlainTextResponse(
            metrics.exposition(runtime.service.name, runtime.replica), media_type=CONTENT_TYPE_LATEST
        )

    return router


async def _database_answers(runtime: Runtime) -> bool:
    try:
        async with runtime.read() as db:
            return bool(await db.fetchval("SELECT true"))
    except TRANSIENT_ERRORS:
        return False


async def _look_at_tables(runtime: Runtime) -> None:
    async with runtime.read() as db:
        unsent, age = await db.fetchrow(
            """
            SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float
            FROM runtime.outbox WHERE sent_at IS NULL
            """
        ) or (0, 0.0)
        open_count = await db.fetchval("SELECT count(*) FROM runtime.parked WHERE status = 'open'")
    metrics.UNSENT.set(unsent)
    metrics.UNSENT_AGE.set(age)
    metrics.PARKED.set(open_count)


class ClockView(BaseModel):
    """Business time, and how far it is ahead of wall time. `followers` move with it."""

    clock: Literal["system", "test"]
    now: AwareDatetime
    ahead_seconds: float
    followers: list[str]


class Moment(BaseModel):
    now: AwareDatetime


def _clock(runtime: Runtime, shared_clock: SharedClock | None) -> APIRouter:
    router = APIRouter(prefix="/ops/clock")

    @router.get("")
    async def clock_show() -> ClockView:
        clock = runtime.clock
        kind: Literal["system", "test"] = "system" if shared_clock is None else "test"
        followers = [] if shared_clock is None else shared_clock.followers
        return ClockView(clock=kind, now=clock.now(), ahead_seconds=clock.offset.total_seconds(), followers=followers)

    @router.put("")
    async def clock_move(moment: Moment) -> ClockView:
        if shared_clock is None:
            detail = "This system runs on wall time. Start it with CLOCK=test, which production refuses."
            raise Problem(409, "CLOCK_IS_SYSTEM", "There is no test clock", detail)
        try:
            await shared_clock.move_to(moment.now)
        except TimeCannotGoBack:
            now = runtime.clock.now().isoformat()
            detail = f"It is {now} already; name a later moment than that, or start anew with `make clean-data`."
            raise Problem(409, "TIME_CANNOT_GO_BACK", "Time cannot go back", detail, now=now) from None
        except NotAcknowledged as error:
            late = ", ".join(error.late)
            detail = (
                f"The clock has moved, but {late} did not say so in time. Ask again: who has ended is no longer asked."
            )
            raise Problem(504, "CLOCK_NOT_ACKNOWLEDGED", "Somebody may be late", detail, late=error.late) from None
        return await clock_show()

    return router


def _not_parked(parked_id: int) -> Problem:
    detail = f"There is no open parked record {parked_id}; list them with `kaipiao parked list`."
    return Problem(404, "NOT_PARKED", "No such parked record", detail, parked_id=parked_id)


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"field": ".".join(map(str, one["loc"])), "message": one["msg"], "value": str(one.get("input"))[:SHOWN_MAX]}
        for one in error.errors()
    ]
    detail = (
        "; ".join(f"{one['field']}: {one['message']}" for one in wrong) + ". Correct these fields and send it again."
    )
    return Problem(422, "INVALID_REQUEST", "The request is not well formed", detail, errors=wrong).response()


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "HTTP_ERROR")
    detail = f"{request.method} {request.url.path}: {error.detail}. See /openapi.json for what there is."
    return Problem(error.status_code, code, str(error.detail), detail, error.headers).response()


async def _away(_: Request, __: Exception) -> JSONResponse:
    detail = "The database did not answer. Nothing was half done; send the same request again."
    return Problem(503, "SERVICE_UNAVAILABLE", "For the moment out of service", detail, {"Retry-After": "5"}).response()


async def _bug(_: Request, __: Exception) -> JSONResponse:
    detail = "This is our fault, not yours. Send the same request again, or tell us the trace id."
    return Problem(500, "INTERNAL_ERROR", "Something went wrong on our side", detail).response()
