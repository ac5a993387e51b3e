"""Word of changed balances, at most once a second for an account; and of deficits, when they are others than were told last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ledger.balances.rules import Sums, balance
from shared.contracts.ledger import BalanceChanged, DeficitClosed, DeficitOpened
from shared.contracts.message import Message


@dataclass(frozen=True, slots=True)
class Changed:
    """An account of which something is to be told. `deficits` is what was told last, by subject."""

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


def news(changed: Changed, sums: Sequence[Sums]) -> list[Message]:
    """The balance as it is, and each deficit that is another than was told last."""
    common = {"account_id": changed.account_id, "version": changed.version}
    told: list[Message] = [BalanceChanged.model_validate(common | {"balances": tuple(map(balance, sums))})]
    now = deficits_of(sums)
    for subject in sorted(changed.deficits.keys() | now.keys()):
        fen = now.get(subject, 0)
        kind = DeficitOpened if fen else DeficitClosed
        if fen != changed.deficits.get(subject, 0):
            told.append(kind.model_validate(common | {"subject": subject, "deficit_fen": fen}))
    return told
