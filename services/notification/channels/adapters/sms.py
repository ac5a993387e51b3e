"""SMS over the gateway's HTTP interface. The gateway sends one `out_id` once."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from services.notification.channels.port import Refused, SendAnswer, Sent, Sms, Unknown
from shared.domain.refusals import Refusal
from shared.runtime.http_failures import HTTP_FAILURES

SEND_SECONDS = 10.0
NEVER = (400, 422)
"""What the gateway says of the message itself. Any other refusal (401, 429, ...) is about us or the moment and may pass."""


class HttpSmsSender:
    def __init__(self, url: str, security: Mapping[str, Any] = {}) -> None:
        self._client = httpx2.AsyncClient(base_url=url, timeout=SEND_SECONDS, **security)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def send(self, sms: Sms) -> SendAnswer:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                response = await self._client.post(
                    "/messages", json={"out_id": sms.out_id, "mobile": sms.mobile, "text": sms.text}
                )
        except (*HTTP_FAILURES, TimeoutError) as error:
            return Unknown(type(error).__name__)
        if response.status_code in NEVER:
            return Refused(Refusal.NUMBER_REFUSED)
        return Sent() if _has_receipt(response) else Unknown(f"HTTP {response.status_code}")


def _has_receipt(response: httpx2.Response) -> bool:
    """Only the gateway's own receipt counts, not any page that comes with a 200."""
    try:
        return response.status_code == 200 and "message_id" in response.json()
    except (ValueError, TypeError):
        return False
