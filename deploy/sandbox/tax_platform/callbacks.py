"""Calls back when a serial has come to its end: a POST, signed with its moment, repeated until it is answered or tried often enough.

A callback may come twice, or never if the platform crashes before: callers have to ask as well.
"""

import asyncio
import hmac
import json
import os
import time
from uuid import uuid4

import httpx2

TRIES_MAX = 5
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 5.0


def signed(body: bytes, secret: bytes, at: float | None = None) -> dict[str, str]:
    """Headers for a body: the moment, and a signature over both. It is good for a few minutes only."""
    timestamp = str(int(time.time() if at is None else at))
    signature = hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()
    return {"Timestamp": timestamp, "Signature": signature, "Content-Type": "application/json"}


class Callbacks:
    """To CALLBACKS_URL, signed with TAX_PLATFORM_SECRET; without a URL nobody is called."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret.encode()
        self._client = httpx2.AsyncClient(timeout=ANSWER_SECONDS)
        self._telling: set[asyncio.Task[None]] = set()

    @classmethod
    def from_environment(cls) -> "Callbacks":
        base = os.environ.get("CALLBACKS_URL", "")
        url = f"{base}/tax-platform/callbacks" if base else ""
        return cls(url, os.environ.get("TAX_PLATFORM_SECRET", "local-only"))

    def tell(self, serials: list[str]) -> None:
        """Begins to call, without waiting for it, and empties the list."""
        while serials:
            serial = serials.pop(0)
            if self._url:
                task = asyncio.create_task(self._tell(serial))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def _tell(self, serial: str) -> None:
        body = json.dumps({"serial": serial, "id": uuid4().hex}).encode()
        for attempt in range(TRIES_MAX):
            try:
                answer = await self._client.post(self._url, content=body, headers=signed(body, self._secret))
            except httpx2.HTTPError:
                await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
                continue
            if answer.status_code < 500:
                return
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)

    async def close(self) -> None:
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._client.aclose()
