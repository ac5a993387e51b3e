"""Word of changed balances, at most once a second for an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ledger.domain.balances import Sums, balance
from shared.contracts.ledger import BalanceChanged


@dataclass(frozen=True, slots=True)
class Changed:
    account_id: int
    version: int
    claimed_at: datetime


def balance_changed(changed: Changed, sums: Sequence[Sums]) -> BalanceChanged:
    return BalanceChanged(
        account_id=changed.account_id, version=changed.version, balances=tuple(balance(one) for one in sums)
    )
