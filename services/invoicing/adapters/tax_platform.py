"""The tax platform over HTTP. Whatever goes wrong on the way is `Unknown`: only the platform's own words decide anything."""

from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx2

from services.invoicing.adapters.port import (
    Accepted,
    Answer,
    BlueOrder,
    Cancelled,
    Duplicate,
    Failed,
    Issued,
    NotFound,
    Processing,
    Rejected,
    Unknown,
)

CALL_SECONDS = 30.0
CONNECT_SECONDS = 5.0


class HttpTaxPlatform:
    def __init__(self, url: str) -> None:
        self._client = httpx2.AsyncClient(base_url=url, timeout=httpx2.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def submit(self, order: BlueOrder) -> Answer:
        return await self._ask("POST", "/invoices", asdict(order))

    async def query(self, serial: str) -> Answer:
        return await self._ask("GET", f"/invoices/{serial}", None)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        try:
            response = await self._client.request(method, path, json=body)
            if response.status_code >= 500:
                return Unknown(f"HTTP {response.status_code}")
            return understood(response.json())
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            return Unknown(type(error).__name__)


def understood(answer: dict[str, Any]) -> Answer:
    """From the platform's JSON; what it has never said before is `Unknown`."""
    match answer["state"]:
        case "issued":
            names = ("number", "gross_fen", "net_fen", "tax_fen", "qr", "specimen")
            return Issued(
                issued_at=datetime.fromisoformat(answer["issued_at"]), **{name: answer[name] for name in names}
            )
        case "failed":
            return Failed(answer["code"], answer["text"])
        case "rejected":
            return Rejected(answer["code"], answer["text"])
        case other:
            plain: dict[str, Answer] = {
                "accepted": Accepted(),
                "duplicate": Duplicate(),
                "processing": Processing(),
                "not_found": NotFound(),
                "cancelled": Cancelled(),
            }
            return plain.get(other, Unknown(f"state {other}"))
