"""An account: whether it is open, the key that its personal data is sealed with, and the version of what is published about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.message import Erased, Message
from shared.contracts.titles import AccountStatusChanged

Seal = Callable[[str, str, str], str]
"""From a wrapped key, a text and what it is about to the sealed value."""
Rewrap = Callable[[str], "WrappedKey"]


@dataclass(frozen=True)
class WrappedKey:
    """A sealing key as it is kept, and which master key it is wrapped with."""

    wrapped: str
    by: str


@dataclass(frozen=True)
class Account:
    """`registered_at` is the business time of the latest registration, None before the first. `erased_at`: what was said until then of
    its personal data was erased. `wrapped_key`: what is said from then on is sealed with it.
    """

    account_id: int
    status: str
    version: int
    registered_at: datetime | None
    erased_at: datetime | None
    wrapped_key: str | None = None

    @property
    def erased(self) -> bool:
        """Nobody has registered it since. An erasure counts as its latest registration, so that an older one changes nothing."""
        return self.erased_at is not None and self.registered_at == self.erased_at

    @property
    def key(self) -> str:
        assert self.wrapped_key is not None, "what an erased account is told of changes nothing, so nothing is sealed"
        return self.wrapped_key


def status_changed(account: Account) -> list[Message]:
    told = {"account_id": account.account_id, "version": account.version, "status": account.status}
    return [AccountStatusChanged.model_validate(told)]


def status_registered(account: Account) -> list[Message]:
    """Nothing when the registration is older than the erasure of what it says."""
    return [] if account.erased else status_changed(account)


def readable(account: Account | None) -> None:
    """Nothing is shown of an account whose personal data were erased."""
    if account is not None and account.erased:
        raise Erased


def in_use(keys: Sequence[str | None]) -> list[str]:
    return [key for key in keys if key is not None]


@dataclass(frozen=True)
class KeptKey:
    """A key in its row."""

    account_id: int
    key_no: int
    key: WrappedKey


@dataclass(frozen=True)
class KeptKeys:
    """Some that are wrapped with another master key than the one that wraps now."""

    keys: tuple[KeptKey, ...]


def rewrapped(kept: KeptKeys, rewrap: Rewrap) -> list[KeptKey]:
    return [replace(one, key=rewrap(one.key.wrapped)) for one in kept.keys]
