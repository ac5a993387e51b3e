"""The erasure of an account's personal data. It begins at once for all that is new, and ends when nothing under way needs the keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.title.accounts.rules import Account
from shared.contracts.message import Message
from shared.contracts.titles import AccountErased, AccountErasureStarted


@dataclass(frozen=True)
class ErasureIntent:
    """What an operator asks for, and why. (Not called `account_id`: a customer's rights would not be enough.)"""

    erased_account_id: int
    by: str
    reason: str


@dataclass(frozen=True)
class Erasure:
    """`ended_at`: when the keys were dropped; None while something under way still needs them."""

    account_id: int
    version: int
    started_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class ErasureDecision:
    """`answer`: the erasure that stands for what was asked, None for an account that is not there. `begun`: one at most."""

    answer: Erasure | None
    begun: tuple[Erasure, ...] = ()
    messages: tuple[Message, ...] = ()


def decide(account: Account | None, last: Erasure | None, now: datetime) -> ErasureDecision:
    """Who asks again has it told again: for whatever did not hear, and for records that were parked meanwhile."""
    if account is None:
        return ErasureDecision(None)
    if account.erased and last is not None:
        return ErasureDecision(last, messages=(_told(last),))
    new = Erasure(account.account_id, account.version + 1, max(now, account.registered_at or now))
    return ErasureDecision(new, (new,), (_told(new),))


def erased(ended: Sequence[Erasure]) -> list[Message]:
    return [_told(one) for one in ended]


def _told(one: Erasure) -> Message:
    kind = AccountErasureStarted if one.ended_at is None else AccountErased
    return kind(account_id=one.account_id, version=one.version)
