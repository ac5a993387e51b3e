"""HTTP as every service speaks it, listener by listener: customers and the gateway, the outside, and operators never meet."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from shared.contracts.http.problem import ProblemView
from shared.contracts.message import Erased
from shared.domain.refusals import Refusal, text_of
from shared.runtime import operations
from shared.runtime.admission import Admission, Admit, Bounds, by_token, everybody
from shared.runtime.health import health_routes
from shared.runtime.http_metrics import HttpMetrics
from shared.runtime.listening import Limits, Listener
from shared.runtime.problems import PROBLEM, Problem, invalid
from shared.runtime.purposes import AtTheEdge
from shared.runtime.sealing import Unsealable
from shared.runtime.service import Runtime
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import NotAcknowledged, SharedClock, TimeCannotGoBack
from shared.runtime.watchdog import Watchdog

__all__ = ["Admit", "Problem"]

BOUNDS = Bounds()
SCHEMA = "#/components/schemas/{model}"


class WebApp(FastAPI):
    """Says in /openapi.json that every "no" is a problem. FastAPI by itself describes errors as plain JSON.

    A path with one slash too many is another path, and not there: a redirect would lead to whatever host the caller named.
    """

    def __init__(self, title: str, admission: Callable[[ASGIApp], Admission], openapi_url: str | None = None) -> None:
        content = {PROBLEM: {"schema": {"$ref": SCHEMA.format(model=ProblemView.__name__)}}}
        problem = {"description": "A problem: what was wrong, and what to do", "content": content}
        super().__init__(
            title=title,
            openapi_url=openapi_url,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            responses={"default": problem},
        )
        self.add_exception_handler(Problem, _problem)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(HTTPException, _http)
        self.add_exception_handler(Erased, _erased)
        self.add_exception_handler(Unsealable, _unsealable)
        self.add_middleware(admission)
        self.add_middleware(AtTheEdge)
        self.add_middleware(HttpMetrics)

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        _, models = models_json_schema([(ProblemView, "validation")], ref_template=SCHEMA)
        described.setdefault("components", {}).setdefault("schemas", {}).update(models["$defs"])
        return described


def web_app(runtime: Runtime, token: str, title: str, bounds: Bounds = BOUNDS) -> WebApp:
    """What the gateway asks of a service, with the token; or, of the gateway, what customers ask: under /v1, as its admission says."""
    service = runtime.service
    if service.public_routes is not None and service.admission is not None:
        app = WebApp(title, _before("/v1/", service.admission(runtime), bounds), openapi_url="/openapi.json")
        app.include_router(service.public_routes(runtime))
        return app
    app = WebApp(title, _before("/", by_token(token), bounds))
    if service.routes is not None:
        app.include_router(service.routes(runtime))
    return app


def callback_app(runtime: Runtime, title: str, bounds: Bounds = BOUNDS) -> WebApp | None:
    """Where the outside speaks by itself: on a listener of its own, since it can show no token of ours. It signs what it says."""
    if runtime.service.callback_routes is None:
        return None
    app = WebApp(title, _before("/", everybody, replace(bounds, is_json=False)))
    app.include_router(runtime.service.callback_routes(runtime))
    return app


def operations_app(
    runtime: Runtime,
    token: str,
    watchdog: Watchdog,
    title: str,
    shared_clock: SharedClock | None = None,
    described: Callable[[], dict[str, Any]] | None = None,
) -> WebApp:
    """What operators and their machines ask, on a listener that no customer reaches: health and metrics, and under /ops with their token
    parked records, the clock and what the service has of its own. `described`: the OpenAPI document of the service's own routes.
    """
    app = WebApp(title, _before("/ops", by_token(token), BOUNDS))
    app.include_router(health_routes(watchdog))
    app.include_router(operations.routes(runtime, _not_parked))
    app.include_router(_clock(runtime, shared_clock))
    if runtime.service.operator_routes is not None:
        app.include_router(runtime.service.operator_routes(runtime))
    if described is not None:
        app.add_api_route("/openapi.json", described, include_in_schema=False)
    return app


def listeners_of(
    runtime: Runtime, settings: Settings, watchdog: Watchdog, shared_clock: SharedClock | None
) -> tuple[WebApp, list[Listener]]:
    """The app that lives as long as the process, and all listeners of the process."""
    title = f"Kaipiao {runtime.service.name}"
    bounds = Bounds(settings.http_body_bytes, settings.http_read_seconds)
    app = web_app(runtime, settings.service_token.get_secret_value(), title, bounds)
    for_operators = operations_app(
        runtime,
        settings.operator_token.get_secret_value(),
        watchdog,
        f"{title} operations",
        shared_clock,
        described=app.openapi,
    )
    listeners = [
        Listener(app, settings.http_host, settings.http_port),
        Listener(for_operators, settings.operations_host, settings.operations_port),
    ]
    callbacks = callback_app(runtime, f"{title} callbacks", bounds)
    if callbacks is not None:
        listeners.append(Listener(callbacks, settings.callbacks_host, settings.callbacks_port))
    return app, listeners


def limits_of(settings: Settings) -> Limits:
    return Limits(
        settings.http_connections, settings.http_head_bytes, settings.http_headers, settings.http_read_seconds
    )


def _before(guards: str, admit: Admit, bounds: Bounds) -> Callable[[ASGIApp], Admission]:
    return partial(Admission, admit=admit, guards=guards, bounds=bounds)


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


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "HTTP_ERROR")
    detail = f"{request.method} {request.url.path}: {error.detail}. See /openapi.json for what there is."
    return Problem(error.status_code, code, str(error.detail), detail, error.headers).response()


async def _erased(_: Request, __: Exception) -> JSONResponse:
    return Problem(*text_of(Refusal.ACCOUNT_DATA_ERASED).problem).response()


async def _unsealable(_: Request, __: Exception) -> JSONResponse:
    detail = "No key of the settings opens it: it was sealed with another one, or changed. Name the key it was sealed with again."
    return Problem(409, "UNSEALABLE", "It cannot be opened", detail).response()
