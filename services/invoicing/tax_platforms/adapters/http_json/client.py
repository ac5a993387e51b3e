"""The calls. Whatever goes wrong on the way is `Unknown`: only the platform's own words decide anything."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from services.invoicing.tax_platforms.adapters.http_json import answers
from services.invoicing.tax_platforms.port import (
    BlueDraft,
    CancelAnswer,
    QueryAnswer,
    QuotaAnswer,
    RedDraft,
    SubmitAnswer,
    Unknown,
)
from shared.runtime.http_failures import HTTP_FAILURES

CALL_SECONDS = 30.0
CONNECT_SECONDS = 5.0
A = TypeVar("A")


class HttpJsonPlatform:
    def __init__(self, url: str, call_seconds: float = CALL_SECONDS, security: Mapping[str, Any] = {}) -> None:
        self._call_seconds = call_seconds
        timeout = httpx2.Timeout(call_seconds, connect=CONNECT_SECONDS)
        self._client = httpx2.AsyncClient(base_url=url, timeout=timeout, **security)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def submit(self, draft: BlueDraft) -> SubmitAnswer:
        return await self._ask(answers.to_submission, "POST", "/invoices", asdict(draft))

    async def submit_red(self, draft: RedDraft) -> SubmitAnswer:
        return await self._ask(answers.to_submission, "POST", "/red-invoices", asdict(draft))

    async def query(self, serial: str) -> QueryAnswer:
        return await self._ask(answers.to_query, "GET", f"/invoices/{serial}")

    async def cancel(self, serial: str) -> CancelAnswer:
        return await self._ask(answers.to_cancel, "POST", f"/invoices/{serial}/cancel")

    async def quota(self, tax_id: str, month: str) -> QuotaAnswer:
        return await self._ask(answers.to_quota, "GET", f"/quotas/{tax_id}/{month}")

    async def _ask(
        self, read: Callable[[object], A], method: str, path: str, body: dict[str, Any] | None = None
    ) -> A | Unknown:
        try:
            # The client's own timeout counts from byte to byte: a trickle would outlive the lease of the part.
            async with asyncio.timeout(self._call_seconds):
                response = await self._client.request(method, path, json=body)
            if response.status_code >= 500:
                return Unknown(f"HTTP {response.status_code}")
            return read(response.json())
        except (*HTTP_FAILURES, TimeoutError, ValueError, RecursionError) as error:
            return Unknown(type(error).__name__)
