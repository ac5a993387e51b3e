"""The platform over HTTP. Routes under /ops are for tests: they do what others would do.

POST /ops/faults      a list of what goes wrong with the next calls about invoices; see faults.py
POST /ops/quotas/…    the tax bureau grants a quota
POST /ops/red-forms…  a buyer or the bureau enters or changes a red confirmation form
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.tax_platform.callbacks import Callbacks
from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.faults import FAULTS, SLOW_ANSWER_SECONDS, BrokenOff, Script
from deploy.sandbox.tax_platform.records import Answer
from shared.runtime.shared_clock import SharedClock

LOOK_SECONDS = 0.1
STATUS = {"accepted": 202, "duplicate": 409, "rejected": 422, "not_found": 404}


class Server:
    """Routes of one platform. Whatever it answers is on the disk before."""

    def __init__(
        self,
        platform: Platform,
        disk: Disk,
        callbacks: Callbacks,
        following: Callable[[], SharedClock] | None = None,
    ) -> None:
        self._platform = platform
        self._disk = disk
        self._callbacks = callbacks
        self._following = following
        self._script = Script()
        self._issuing: asyncio.Task[None] | None = None

    def app(self) -> Starlette:
        routes = [
            Route("/invoices", self.submit, methods=["POST"]),
            Route("/invoices/{serial}", self.query),
            Route("/invoices/{serial}/cancel", self.cancel, methods=["POST"]),
            Route("/red-invoices", self.submit_red, methods=["POST"]),
            Route("/ops/red-forms", self.enter_form, methods=["POST"]),
            Route("/ops/red-forms/{form_number}", self.set_form, methods=["POST"]),
            Route("/quotas/{tax_id}/{month}", self.quota),
            Route("/ops/quotas/{tax_id}/{month}", self.set_quota, methods=["POST"]),
            Route("/log", self.log),
            Route("/ops/faults", self.script, methods=["POST"]),
            Route("/readyz", self.ready),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    async def submit(self, request: Request) -> Response:
        draft = _read(await request.body())
        fault = self._script.next() or self._platform.wire_fault(draft)
        return await self._answered(fault, lambda: self._platform.submit(draft))

    async def submit_red(self, request: Request) -> Response:
        draft = _read(await request.body())
        fault = self._script.next() or self._platform.wire_fault(draft)
        return await self._answered(fault, lambda: self._platform.submit_red(draft))

    async def query(self, request: Request) -> Response:
        serial = request.path_params["serial"]
        return await self._answered(self._script.next(), lambda: self._platform.query(serial))

    async def cancel(self, request: Request) -> Response:
        serial = request.path_params["serial"]
        return await self._answered(self._script.next(), lambda: self._platform.cancel(serial))

    async def quota(self, request: Request) -> Response:
        with self._disk.kept():
            return JSONResponse(self._platform.quota(request.path_params["tax_id"], request.path_params["month"]))

    async def set_quota(self, request: Request) -> Response:
        match _read(await request.body()):
            case {"limit_net_fen": int(limit_fen), "used_net_fen": int(used_fen)}:
                with self._disk.kept():
                    self._platform.set_quota(
                        request.path_params["tax_id"], request.path_params["month"], limit_fen, used_fen
                    )
                return JSONResponse({"limit_net_fen": limit_fen, "used_net_fen": used_fen})
        return JSONResponse({"error": "an object with limit_net_fen and used_net_fen"}, 422)

    async def enter_form(self, request: Request) -> Response:
        match _read(await request.body()):
            case {"blue_number": str(blue), "form_number": str(form), "gross_fen": int(fen), "state": str(state)}:
                return await self._answered("", lambda: self._platform.enter_form(blue, form, fen, state))
        return JSONResponse({"error": "an object with blue_number, form_number, gross_fen and state"}, 422)

    async def set_form(self, request: Request) -> Response:
        form = request.path_params["form_number"]
        match _read(await request.body()):
            case {"state": str(state)}:
                return await self._answered("", lambda: self._platform.set_form(form, state))
        return JSONResponse({"error": "an object with state"}, 422)

    async def log(self, _: Request) -> Response:
        with self._disk.kept():
            self._platform.settle()
        return JSONResponse(self._disk.rows())

    async def script(self, request: Request) -> Response:
        if not self._script.add(_read(await request.body())):
            return JSONResponse({"error": f"a list of {', '.join(FAULTS)}"}, 422)
        return JSONResponse({"faults": self._script.upcoming})

    async def ready(self, _: Request) -> Response:
        """Not ready once nobody issues any more."""
        alive = self._issuing is not None and not self._issuing.done()
        return JSONResponse({"ready": alive}, 200 if alive else 503)

    async def _answered(self, fault: str, act: Callable[[], Answer]) -> Response:
        if fault == "error_5xx":
            return JSONResponse({"state": "error"}, 503)
        if fault == "lose_request":
            return BrokenOff()
        with self._disk.kept():
            answer = act()
        if fault == "lose_answer":
            return BrokenOff()
        await asyncio.sleep(SLOW_ANSWER_SECONDS if fault == "slow" else 0)
        return JSONResponse(answer, STATUS.get(answer["state"], 200))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            if self._following is not None:
                shared = await stack.enter_async_context(self._following().following())
                stack.callback(asyncio.create_task(shared.follow()).cancel)
            self._issuing = asyncio.create_task(self._issue())
            stack.callback(self._issuing.cancel)
            yield
            await self._callbacks.close()

    async def _issue(self) -> None:
        while True:
            with self._disk.kept():
                self._platform.settle()
            self._callbacks.tell(self._platform.ended)
            await asyncio.sleep(LOOK_SECONDS)


def _read(body: bytes) -> object:
    """None for what is no JSON, which every call refuses."""
    try:
        return json.loads(body)
    except ValueError:
        return None
