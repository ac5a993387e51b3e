"""A customer's program: the public API with a key, and nothing else. Waiting means asking again until a deadline."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")
WAIT_SECONDS = 60.0


class Expectation(Exception):  # noqa: N818
    """Something that was to happen did not."""


class Customer:
    """One account and its API key."""

    def __init__(self, account_id: int, api_key: str, gateway: str) -> None:
        self.account_id = account_id
        self.api_key = api_key
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx2.AsyncClient(base_url=f"{gateway}/v1", headers=headers, timeout=30)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = await self._http.get(path)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    async def is_known(self) -> bool:
        """Whether the key opens anything."""
        answer = await self._http.get("/titles")
        return answer.status_code != 401

    async def ask(self, key: str, **body: object) -> tuple[int, dict[str, Any], str]:
        """Status, answer, trace id."""
        answer = await self._http.post("/invoice-requests", json=body, headers={"Idempotency-Key": key})
        return answer.status_code, answer.json(), answer.headers.get("trace-id", "")

    async def credit(self, number: str, key: str, **body: object) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        headers = {"Idempotency-Key": key}
        answer = await self._http.post(f"/invoices/{number}/credit-notes", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def cancel(self, request_id: int) -> dict[str, Any]:
        answer = await self._http.post(f"/invoice-requests/{request_id}/cancel")
        found: dict[str, Any] = answer.json()
        return found

    async def file(self, number: str, file_format: str) -> bytes:
        answer = await self._http.get(f"/invoices/{number}/files/{file_format}")
        answer.raise_for_status()
        content: bytes = answer.content
        return content

    async def close(self) -> None:
        await self._http.aclose()


class Operator:
    """Somebody with the operators' token: makes keys, looks at parked records."""

    def __init__(self, holding: str = "OPERATOR_TOKEN") -> None:
        self._headers = {"Authorization": f"Bearer {os.environ[holding]}"}
        self.urls = dict(one.split("=", 1) for one in os.environ["OPERATIONS_URLS"].split(","))

    async def call(self, method: str, url: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        async with httpx2.AsyncClient(headers=self._headers, timeout=30) as http:
            answer = await http.request(method, url, json=body)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()


async def eventually(what: str, look: Callable[[], Awaitable[T | None]], seconds: float = WAIT_SECONDS) -> T:
    """The first thing `look` finds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise Expectation(f"after {seconds:.0f} s there is still no {what}")
