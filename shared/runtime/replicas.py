"""Where a service can be reached: a list of addresses, or a name that has several. Who did not answer lately is asked last."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from time import monotonic

import httpx2

RESOLVE_SECONDS = 5.0
"""How long the addresses of a name are believed."""
REST_SECONDS = 5.0
"""How long one that failed comes after all others."""


@dataclass(frozen=True)
class Address:
    """`host` stands in the request as it was configured, also where the connection goes to one of its addresses."""

    url: httpx2.URL
    host: str

    @property
    def extensions(self) -> dict[str, str]:
        """The name that a certificate has to be for."""
        return {"sni_hostname": self.host.rpartition(":")[0] or self.host} if self.url.scheme == "https" else {}


class Replicas:
    def __init__(self, urls: str) -> None:
        self._urls = [httpx2.URL(one.strip().rstrip("/")) for one in urls.split(",") if one.strip()]
        self._known: list[Address] = []
        self._known_until = 0.0
        self._failed_at: dict[Address, float] = {}
        self._turn = 0

    async def addresses(self) -> list[Address]:
        """All of them; those that answer take turns."""
        if monotonic() >= self._known_until:
            self._known = await self._resolved()
            self._known_until = monotonic() + RESOLVE_SECONDS
            self._failed_at = {one: at for one, at in self._failed_at.items() if one in self._known}
        self._turn += 1
        turned = self._turn % len(self._known)
        in_turn = self._known[turned:] + self._known[:turned]
        return sorted(in_turn, key=self._rests)

    def failed(self, address: Address) -> None:
        self._failed_at[address] = monotonic()

    def answered(self, address: Address) -> None:
        self._failed_at.pop(address, None)

    def _rests(self, address: Address) -> bool:
        return monotonic() < self._failed_at.get(address, -REST_SECONDS) + REST_SECONDS

    async def _resolved(self) -> list[Address]:
        found = [one for url in self._urls for one in await _addresses_of(url)]
        return list(dict.fromkeys(found))


async def _addresses_of(url: httpx2.URL) -> list[Address]:
    """A name that nobody knows just now stays a name: whoever connects says what is wrong."""
    host = url.netloc.decode("ascii")
    named: list[str] = []
    with contextlib.suppress(OSError, UnicodeError):
        told = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 0, type=socket.SOCK_STREAM)
        named = [str(address[0]) for *_, address in told]
    return [Address(url.copy_with(host=one), host) for one in dict.fromkeys(named)] or [Address(url, host)]
