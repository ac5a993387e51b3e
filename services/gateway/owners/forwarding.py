"""One call to the owner of the data. A "no" of the owner goes through unchanged; an owner that is away takes down only its own pages.

An owner has replicas. What may be repeated is asked of another one if the first is dead or silent; what may not goes to one only,
unless nothing was sent yet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx2
from fastapi import Response

from shared.domain.refusals import Refusal, text_of
from shared.runtime import tracing
from shared.runtime.http_failures import HTTP_FAILURES
from shared.runtime.replicas import Address, Replicas
from shared.runtime.settings import Settings
from shared.runtime.web import Problem

ANSWER_SECONDS = 15.0
CONNECT_SECONDS = 2.0
TRIES_MAX = 8
OUT_OF_SERVICE = 503
PASSED_ON = ("content-type", "content-disposition", "x-content-type-options", "retry-after")
NOTHING_WAS_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True)
class Call:
    """What is asked of an owner, about one account. A parameter may come more than once. `wait_seconds`: how long the owner itself may
    wait before it answers; such silence is meant.
    """

    owner: str
    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    wait_seconds: float = 0.0

    @property
    def repeatable(self) -> bool:
        """A read changes nothing, and what has a key is done once."""
        return self.method == "GET" or "Idempotency-Key" in self.headers


def quoted(part: str) -> str:
    """What a customer wrote, as one part of a path. Dots too: a bare `..` is the folder above to whoever reads the path."""
    return quote(part, safe="").replace(".", "%2E")


class Owners:
    """The services behind the gateway."""

    def __init__(self, settings: Settings, answer_seconds: float) -> None:
        urls = {
            "title": settings.title_url,
            "ledger": settings.ledger_url,
            "invoicing": settings.invoicing_url,
            "notification": settings.notification_url,
        }
        token = {"Authorization": f"Bearer {settings.service_token.get_secret_value()}"}
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        self._answer_seconds = answer_seconds
        self._silent_seconds = settings.owner_silent_seconds
        self._replicas = {name: Replicas(listed) for name, listed in urls.items()}
        self._clients = {name: httpx2.AsyncClient(headers=token, timeout=timeout) for name in urls}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def forward(self, call: Call) -> Response:
        answer = await self._answer(call)
        passed = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        trace_id = tracing.trace_id()
        return Response(answer.content, answer.status_code, passed | ({"trace-id": trace_id} if trace_id else {}))

    async def _answer(self, call: Call) -> httpx2.Response:
        """Of the first replica that gives one. One that is alone is asked twice: its connection may have died in the pool."""
        replicas = self._replicas[call.owner]
        addresses = await replicas.addresses()
        tries = (addresses * 2)[: max(2, min(len(addresses), TRIES_MAX))]
        ends_at = asyncio.get_running_loop().time() + call.wait_seconds + self._answer_seconds
        no = _away(call.owner)
        for number, address in enumerate(tries):
            others = any(later != address for later in tries[number + 1 :])
            left = ends_at - asyncio.get_running_loop().time()
            patience = call.wait_seconds + self._silent_seconds if call.repeatable and others else left
            try:
                async with asyncio.timeout(min(left, patience)):
                    answer = await self._asked(call, address)
            except NOTHING_WAS_SENT:
                no, goes_on = _away(call.owner), others
            except HTTP_FAILURES:
                no, goes_on = _no_answer(call), call.repeatable
            except TimeoutError:
                no, goes_on = _no_answer(call), call.repeatable and others
            else:
                if answer.status_code != OUT_OF_SERVICE or not (call.repeatable and others):
                    replicas.answered(address)
                    return answer
                goes_on = True
            replicas.failed(address)
            if not goes_on:
                break
        raise no

    async def _asked(self, call: Call, address: Address) -> httpx2.Response:
        traceparent = tracing.traceparent()
        headers = {"Host": address.host} | dict(call.headers) | ({"traceparent": traceparent} if traceparent else {})
        try:
            return await self._clients[call.owner].request(
                call.method,
                f"{address.url}".rstrip("/") + call.path,
                params=list(call.query),
                headers=headers,
                content=call.body,
                extensions=address.extensions,
            )
        except httpx2.InvalidURL:
            raise Problem(*text_of(Refusal.ADDRESS_TOO_LONG).problem) from None


def _away(owner: str) -> Problem:
    told = text_of(Refusal.SERVICE_UNAVAILABLE, {"service": owner})
    return Problem(*told.problem, service=owner, headers={"Retry-After": "5"})


def _no_answer(call: Call) -> Problem:
    """What was asked with a key is done once, so that it may be repeated; what was only read needs no key."""
    told = text_of(Refusal.NO_ANSWER, {"service": call.owner})
    advice = "repeat it with the same Idempotency-Key: it is done once" if call.method == "POST" else "ask again"
    return Problem(*replace(told, advice_english=advice).problem, service=call.owner)
