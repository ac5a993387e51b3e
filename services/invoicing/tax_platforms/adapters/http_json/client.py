"""The tax platform over HTTP. Whatever goes wrong on the way is `Unknown`: only the platform's own words decide anything."""

import asyncio
import hmac
import json
import re
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx2

from services.invoicing.tax_platforms.port import (
    Accepted,
    Answer,
    BlueOrder,
    CancelHeard,
    Cancelled,
    Duplicate,
    Failed,
    FormTold,
    Issued,
    NotFound,
    Processing,
    QuotaTold,
    RedOrder,
    Rejected,
    TooLate,
    Unknown,
)

CALL_SECONDS = 30.0
CONNECT_SECONDS = 5.0
NUMBER = re.compile(r"[0-9]{20}")
SERIAL = re.compile(r"[0-9A-Z]{20}")
FORM_NUMBER, FORM_STATE = re.compile(r"[0-9A-Za-z]{1,40}"), re.compile(r"[0-9]{2}")
QR_MAX = 500


class HttpTaxPlatform:
    def __init__(self, url: str, call_seconds: float = CALL_SECONDS) -> None:
        self._call_seconds = call_seconds
        self._client = httpx2.AsyncClient(base_url=url, timeout=httpx2.Timeout(call_seconds, connect=CONNECT_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def submit(self, order: BlueOrder) -> Answer:
        return await self._ask("POST", "/invoices", asdict(order))

    async def submit_red(self, order: RedOrder) -> Answer:
        return await self._ask("POST", "/red-invoices", asdict(order))

    async def query(self, serial: str) -> Answer:
        return await self._ask("GET", f"/invoices/{serial}", None)

    async def cancel(self, serial: str) -> Answer:
        return heard(await self._ask("POST", f"/invoices/{serial}/cancel", None))

    async def quota(self, tax_id: str, month: str) -> Answer:
        return await self._ask("GET", f"/quotas/{tax_id}/{month}", None)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        try:
            # The client's own timeout counts from byte to byte: a trickle would outlive the lease of the part.
            async with asyncio.timeout(self._call_seconds):
                response = await self._client.request(method, path, json=body)
            if response.status_code >= 500:
                return Unknown(f"HTTP {response.status_code}")
            return understood(response.json())
        except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            return Unknown(type(error).__name__)


def understood(answer: object) -> Answer:
    """From the platform's JSON. What it has never said before, or said in another shape, is `Unknown`: it may not decide anything."""
    match answer:
        case {"state": "issued"}:
            return _issued(answer)
        case {"state": "form", "form_number": str(number), "form_state": str(state)} if FORM_NUMBER.fullmatch(
            number
        ) and FORM_STATE.fullmatch(state):
            return FormTold(number, state)
        case {"state": "failed", "code": str(code), "text": str(text)}:
            return Failed(code, text)
        case {"state": "rejected", "code": str(code), "text": str(text)}:
            return Rejected(code, text)
        case {"state": "quota", "limit_net_fen": int(limit_fen), "used_net_fen": int(used_fen)} if (
            limit_fen >= 0 and used_fen >= 0
        ):
            return QuotaTold(limit_fen, used_fen)
        case {"state": str(state)} if state in PLAIN:
            return PLAIN[state]
        case _:
            return Unknown("an answer that nobody understands")


def heard(answer: Answer) -> Answer:
    """Of the answer to a wish to cancel: accepted or too late, it only says that the wish arrived."""
    return CancelHeard() if isinstance(answer, Accepted | TooLate) else Unknown("no answer to a cancel")


PLAIN: dict[str, Answer] = {
    "accepted": Accepted(),
    "duplicate": Duplicate(),
    "processing": Processing(),
    "not_found": NotFound(),
    "cancelled": Cancelled(),
    "too_late": TooLate(),
}


def _issued(answer: object) -> Answer:
    match answer:
        case {
            "number": str(number),
            "issued_at": str(issued_at),
            "gross_fen": int(gross_fen),
            "net_fen": int(net_fen),
            "tax_fen": int(tax_fen),
            "qr": str(qr),
            "specimen": bool(specimen),
        } if NUMBER.fullmatch(number) and qr.isprintable() and len(qr) <= QR_MAX:
            at = datetime.fromisoformat(issued_at)
            if at.tzinfo is not None:
                return Issued(number, at, gross_fen, net_fen, tax_fen, qr, specimen)
    return Unknown("a document that nobody understands")


def called_about(body: bytes, signature: str, secret: str) -> str | None:
    """The serial a callback speaks of; None unless the platform signed it (HMAC-SHA256 of the body, in hex)."""
    expected = hmac.new(secret.encode(), body, "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    try:
        match json.loads(body):
            case {"serial": str(serial)} if SERIAL.fullmatch(serial):
                return serial
    except ValueError:
        pass
    return None
