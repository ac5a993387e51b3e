"""An account: whether it is open, the key that its personal data is sealed with, and the version of what is published about it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, SealingKeyIssued

Seal = Callable[[str, str, str], str]
"""From a wrapped key and a text to the sealed value."""


@dataclass(frozen=True)
class Account:
    """`registered_at` is the business time of the latest registration, None before the first."""

    account_id: int
    status: str
    version: int
    wrapped_key: str
    registered_at: datetime | None


def key_issued(account: Account) -> list[Message]:
    """Once, with the first version, and before everything that is sealed with it."""
    issued = SealingKeyIssued(account_id=account.account_id, wrapped_key=account.wrapped_key)
    return [issued] if account.version == 1 else []


def status_changed(account: Account) -> list[Message]:
    told = {"account_id": account.account_id, "version": account.version, "status": account.status}
    return [AccountStatusChanged.model_validate(told)]
