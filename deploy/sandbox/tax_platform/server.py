"""The platform's HTTP interface. `POST /ops/faults` scripts what goes wrong with the next submissions, for tests:
`lose_request` (no answer, no effect), `lose_answer` (effect, no answer), `error` (5xx, no effect)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.disk import Disk

LOOK_SECONDS = 0.1
STATUS = {"accepted": 202, "duplicate": 409, "rejected": 422, "not_found": 404}
FAULTS = {"lose_request", "lose_answer", "error"}


def server(platform: Platform, disk: Disk) -> Starlette:
    faults: list[str] = []

    async def submit(request: Request) -> Response:
        fault = faults.pop(0) if faults else ""
        if fault == "error":
            return JSONResponse({"state": "error"}, 503)
        if fault == "lose_request":
            return _cut()
        answer = platform.submit(await request.json())
        disk.commit()
        return _cut() if fault == "lose_answer" else _answer(answer)

    async def query(request: Request) -> Response:
        answer = platform.query(request.path_params["serial"])
        disk.commit()
        return _answer(answer)

    async def cancel(request: Request) -> Response:
        answer = platform.cancel(request.path_params["serial"])
        disk.commit()
        return JSONResponse(answer)

    async def log(_: Request) -> Response:
        platform.settle()
        disk.commit()
        return JSONResponse(disk.rows())

    async def script(request: Request) -> Response:
        wanted = await request.json()
        if not set(wanted) <= FAULTS:
            return JSONResponse({"error": f"faults are {sorted(FAULTS)}"}, 422)
        faults.extend(wanted)
        return JSONResponse({"faults": faults})

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": True})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        issuing = asyncio.create_task(_issue(platform, disk))
        yield
        issuing.cancel()

    routes = [
        Route("/invoices", submit, methods=["POST"]),
        Route("/invoices/{serial}", query),
        Route("/invoices/{serial}/cancel", cancel, methods=["POST"]),
        Route("/log", log),
        Route("/ops/faults", script, methods=["POST"]),
        Route("/readyz", ready),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _issue(platform: Platform, disk: Disk) -> None:
    while True:
        platform.settle()
        disk.commit()
        await asyncio.sleep(LOOK_SECONDS)


def _answer(answer: dict[str, object]) -> Response:
    return JSONResponse(answer, STATUS.get(str(answer["state"]), 200))


def _cut() -> Response:
    """A gateway's answer when the connection behind it broke: says nothing of what happened."""
    return Response(status_code=504)
