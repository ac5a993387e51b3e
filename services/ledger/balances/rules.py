"""The figures of a balance, what cash may leave (R-3, R-10), and what is published of them.

A changed balance is published at most once a second for an account; its deficits when they are not what was published last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.ledger import Balance, BalanceChanged, DeficitClosed, DeficitOpened
from shared.contracts.message import Message


@dataclass(frozen=True, slots=True)
class Sums:
    """An account's open sums of one subject. `negative_fen` is zero or below. An offset has two sides: what paid, and what was paid for."""

    subject: str
    settled_fen: int
    refunded_fen: int
    positive_fen: int
    negative_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_cost_fen: int
    offset_accept_fen: int


def balance(sums: Sums) -> Balance:
    return Balance(
        subject=sums.subject,
        consumed_fen=sums.settled_fen,
        refunded_fen=sums.refunded_fen,
        invoiced_fen=sums.invoiced_fen,
        in_progress_fen=sums.reserved_fen,
        offset_cost_fen=sums.offset_cost_fen,
        offset_accept_fen=sums.offset_accept_fen,
        available_fen=sums.positive_fen,
        deficit_fen=-sums.negative_fen,
        invoiceable_net_fen=sums.positive_fen + sums.negative_fen,
    )


def withdrawable_fen(cash_fen: int, deficit_fen: int) -> int:
    """Cash that may leave: a deficit keeps back its own amount (D-12)."""
    return max(0, cash_fen - deficit_fen)


@dataclass(frozen=True, slots=True)
class ChangedAccount:
    """An account whose balance is to be published. `deficits` is what was published last, by subject."""

    account_id: int
    version: int
    claimed_at: datetime
    deficits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Openings:
    """Sums that have opened by now, as far as the sweep came; they belong to these accounts."""

    opens_at: datetime
    through_id: int
    accounts: tuple[int, ...]


def deficits_of(sums: Sequence[Sums]) -> dict[str, int]:
    return {one.subject: -one.negative_fen for one in sums if one.negative_fen}


def news(changed: ChangedAccount, sums: Sequence[Sums]) -> list[Message]:
    """The balance as it is, and each deficit that is not what was published last."""
    common = {"account_id": changed.account_id, "version": changed.version}
    messages: list[Message] = [BalanceChanged.model_validate(common | {"balances": tuple(map(balance, sums))})]
    now = deficits_of(sums)
    for subject in sorted(changed.deficits.keys() | now.keys()):
        fen = now.get(subject, 0)
        kind = DeficitOpened if fen else DeficitClosed
        if fen != changed.deficits.get(subject, 0):
            messages.append(kind.model_validate(common | {"subject": subject, "deficit_fen": fen}))
    return messages
