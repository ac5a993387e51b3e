"""An account: whether it is open, and the key and the version of everything that is published about it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, SealingKeyIssued

Seal = Callable[[str, str], str]
"""From a wrapped key and a text to the sealed value."""


@dataclass(frozen=True)
class Account:
    """`registered_at` is the business time of the latest registration, None before the first."""

    account_id: int
    status: str
    version: int
    wrapped_key: str
    registered_at: datetime | None


def key_issued(account: Account, fresh: bool) -> list[Message]:
    """Before everything that is sealed with it; once."""
    return [SealingKeyIssued(account_id=account.account_id, wrapped_key=account.wrapped_key)] if fresh else []


def status_changed(account: Account) -> list[Message]:
    return [
        AccountStatusChanged.model_validate(
            {"account_id": account.account_id, "version": account.version, "status": account.status}
        )
    ]
