"""The sealing keys of accounts, as far as a service needs them: asked of title, kept in memory for a minute, and never written down.

A question decides nothing, and who gets no answer waits: `KeyAway` is a transient error. A value whose key was dropped is `Erased`, which
is for good, so it is believed only if title itself says that it has dropped keys of the account.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

import httpx2
from pydantic import ValidationError

from shared.contracts.http.title import SealingKeysView
from shared.contracts.message import Erased
from shared.runtime.http_failures import HTTP_FAILURES
from shared.runtime.replicas import Address, Replicas
from shared.runtime.sealing import Sealer, Unsealable, key_id, key_id_in, opened_text
from shared.runtime.settings import Settings

KEPT_SECONDS = 60.0
KEPT_MAX = 1000
"""For how long, and for how many accounts. An account that is erased can be read here as much longer."""
CONNECT_SECONDS, ANSWER_SECONDS, TRIES_MAX = 1.0, 2.0, 3

Unseal = Callable[[str, str], str]
"""From a sealed value and what it is about to its text."""
T = TypeVar("T")


class KeyAway(OSError):  # noqa: N818 - it names what is away
    """Title does not answer, or does not know a key yet; both pass."""


@dataclass(frozen=True)
class OpenKeys:
    """The keys of one account. `erased`: it had others, which are dropped."""

    keys: Sequence[bytes]
    erased: bool

    def unseal(self, sealed: str, about: str) -> str:
        named = key_id_in(sealed)
        if named and named not in map(key_id, self.keys):
            if self.erased:
                raise Erased
            raise KeyAway("title does not know the key of a value")
        try:
            return opened_text(self.keys, sealed, about).decode()
        except Unsealable:
            if self.erased and not named:
                raise Erased from None
            raise


class AccountKeys:
    def __init__(self, settings: Settings) -> None:
        self._sealer = Sealer.from_setting(settings.sealing_key.get_secret_value())
        self._replicas = Replicas(settings.title_url)
        self._token = settings.service_token.get_secret_value()
        self._kept: OrderedDict[int, tuple[float, OpenKeys]] = OrderedDict()
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        self._client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {self._token}"}, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def using(self, account_id: int, work: Callable[[Unseal], Awaitable[T]]) -> T:
        """`work` with the account's keys. If title is away it fails where it needs one, and not before.

        `work` may be called twice: what is kept may be older than the value.
        """
        kept = self._kept_for(account_id)
        if kept is not None:
            try:
                return await work(kept.unseal)
            except KeyAway:
                self._kept.pop(account_id, None)
        try:
            asked = await self._asked(account_id)
        except KeyAway as away:
            return await work(_away(away))
        return await work(asked.unseal)

    def _kept_for(self, account_id: int) -> OpenKeys | None:
        until, kept = self._kept.get(account_id, (0.0, None))
        return kept if monotonic() < until else None

    async def _asked(self, account_id: int) -> OpenKeys:
        view = await self._answer(f"/accounts/{account_id}/sealing-keys")
        found = OpenKeys([self._sealer.unwrapped(one) for one in view.wrapped_keys], view.erased)
        self._kept[account_id] = (monotonic() + KEPT_SECONDS, found)
        self._kept.move_to_end(account_id)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    async def _answer(self, path: str) -> SealingKeysView:
        """Of the first replica that gives one; one that is alone is asked twice, for its connection may have died in the pool."""
        addresses = await self._replicas.addresses()
        for address in (addresses * 2)[: max(2, min(len(addresses), TRIES_MAX))]:
            view = await self._asked_of(address, path)
            if view is not None:
                self._replicas.answered(address)
                return view
            self._replicas.failed(address)
        raise KeyAway("title does not answer")

    async def _asked_of(self, address: Address, path: str) -> SealingKeysView | None:
        assert self._client is not None, "opened with the service"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._client.get(
                    f"{address.url}".rstrip("/") + path, headers={"Host": address.host}, extensions=address.extensions
                )
            return SealingKeysView.model_validate(json.loads(answer.content)) if answer.status_code == 200 else None
        except (*HTTP_FAILURES, TimeoutError, ValueError, ValidationError):
            return None


def _away(away: KeyAway) -> Unseal:
    def unseal(_: str, __: str) -> str:
        raise away

    return unseal
