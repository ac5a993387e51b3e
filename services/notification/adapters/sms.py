"""SMS over the gateway's HTTP interface. It sends one `out_id` once."""

from types import TracebackType
from typing import Self

import httpx2

from services.notification.adapters.port import Outcome, Refused, Sent, Sms, Unknown

SEND_SECONDS = 10.0


class HttpSmsSender:
    def __init__(self, url: str) -> None:
        self._client = httpx2.AsyncClient(base_url=url, timeout=SEND_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def send(self, sms: Sms) -> Outcome:
        try:
            response = await self._client.post(
                "/messages", json={"out_id": sms.out_id, "mobile": sms.mobile, "text": sms.text}
            )
        except httpx2.HTTPError as error:
            return Unknown(type(error).__name__)
        if 400 <= response.status_code < 500:
            return Refused("NUMBER_REFUSED")
        return Sent() if response.status_code == 200 else Unknown(f"HTTP {response.status_code}")
