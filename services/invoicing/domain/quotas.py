"""What a seller may issue in a calendar month, tax not included (R-13): each part holds its net amount before it is submitted.

The platform counts, and has the last word. What it says is used contains what of ours was issued when it was asked; the rest is what
it counts beside. That is too much if an invoice of ours came while it was asked, never too little, and right at the next look. As
long as it has not said anything, parts are submitted: it refuses by itself what is too much.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.invoicing.adapters.port import Answer, QuotaTold
from shared.contracts.invoicing import PartWaitsForQuota

LOOK_SECONDS = 60.0
"""How often the platform is asked about a month that is in use, and how often a part that waits looks by itself."""


@dataclass(frozen=True)
class Asked:
    """A seller's month about which the platform is asked; `issued_net_fen` is what of ours was issued before."""

    legal_entity: str
    month: str
    issued_net_fen: int


@dataclass(frozen=True)
class Told:
    """What the platform allows, and what it counts beside ours."""

    limit_net_fen: int
    other_net_fen: int


def told(asked: Asked, answer: Answer) -> Told | None:
    """None: nothing was said, what was known stays."""
    if not isinstance(answer, QuotaTold):
        return None
    return Told(answer.limit_net_fen, max(answer.used_net_fen - asked.issued_net_fen, 0))


@dataclass(frozen=True)
class Waiting:
    """A part that was too much for what was left. `traceparent` is that of its request."""

    account_id: int
    part_id: int
    request_id: int
    legal_entity: str
    net_fen: int
    waiting_since: datetime | None
    claimed_at: datetime
    traceparent: str | None

    @property
    def look_at(self) -> datetime:
        return self.claimed_at + timedelta(seconds=LOOK_SECONDS)


@dataclass(frozen=True)
class Found:
    """Whether there is enough of the month for the part, and what was left of it."""

    month: str
    held: bool
    left_net_fen: int


def waits(part: Waiting, found: Found) -> list[PartWaitsForQuota]:
    """Said once, of each part that has to wait."""
    if found.held or part.waiting_since is not None:
        return []
    return [
        PartWaitsForQuota(
            account_id=part.account_id,
            request_id=part.request_id,
            part_id=part.part_id,
            legal_entity=part.legal_entity,
            month=found.month,
            needed_net_fen=part.net_fen,
            left_net_fen=found.left_net_fen,
        )
    ]
