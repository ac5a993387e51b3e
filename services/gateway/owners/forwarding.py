"""One call to the owner of the data. A "no" of the owner goes through unchanged; an owner that is away takes down only its own pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx2
from fastapi import Response

from shared.domain.refusals import Refusal, text_of
from shared.runtime import tracing
from shared.runtime.settings import Settings
from shared.runtime.web import Problem

ANSWER_SECONDS = 15.0
CONNECT_SECONDS = 2.0
PASSED_ON = ("content-type", "content-disposition", "x-content-type-options", "retry-after")


@dataclass(frozen=True)
class Call:
    """What is asked of an owner, about one account. A parameter may come more than once."""

    owner: str
    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


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
        timeout = httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS)
        self._clients = {
            name: httpx2.AsyncClient(base_url=url, headers=token, timeout=timeout) for name, url in urls.items()
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def forward(self, call: Call) -> Response:
        traceparent = tracing.traceparent()
        headers = dict(call.headers) | ({"traceparent": traceparent} if traceparent else {})
        try:
            answer = await self._clients[call.owner].request(
                call.method, call.path, params=list(call.query), headers=headers, content=call.body
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise _away(call.owner) from None
        except httpx2.InvalidURL:
            raise Problem(*text_of(Refusal.ADDRESS_TOO_LONG).problem) from None
        except httpx2.HTTPError:
            raise _no_answer(call) from None
        passed = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        trace_id = tracing.trace_id()
        return Response(answer.content, answer.status_code, passed | ({"trace-id": trace_id} if trace_id else {}))


def _away(owner: str) -> Problem:
    told = text_of(Refusal.SERVICE_UNAVAILABLE, {"service": owner})
    return Problem(*told.problem, service=owner, headers={"Retry-After": "5"})


def _no_answer(call: Call) -> Problem:
    """What was asked with a key is done once, so that it may be repeated; what was only read needs no key."""
    told = text_of(Refusal.NO_ANSWER, {"service": call.owner})
    advice = "repeat it with the same Idempotency-Key: it is done once" if call.method == "POST" else "ask again"
    return Problem(*replace(told, advice_english=advice).problem, service=call.owner)
