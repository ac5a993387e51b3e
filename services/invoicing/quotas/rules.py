"""What a seller may issue in a calendar month, tax not included (R-13): a part holds its net amount from its submission to its end.

The platform counts what all systems of a seller issue, and has the last word. What it says is used contains what we know to be issued;
the rest is what it counts beside. That is too much as long as an invoice of ours exists that we have not heard of, because it is
held as well; then it is right at the next look. As long as the platform has said nothing, parts are submitted, and it refuses by
itself what is too much.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.invoicing.tax_platforms.port import Answer, QuotaTold
from shared.contracts.invoicing import PartWaitsForQuota

LOOK_SECONDS = 60.0
"""How often the platform is asked about a month in use, and how often a part that waits looks by itself."""


@dataclass(frozen=True)
class Asked:
    """A seller's month about which the platform is asked; `issued_net_fen` is what of ours was issued before."""

    legal_entity: str
    month: str
    issued_net_fen: int
    ask_at: datetime
    """When it is asked next; whoever asks meanwhile has newer figures."""


@dataclass(frozen=True)
class Told:
    """What the platform allows, and what it counts beside ours; less than nothing if it does not count all of ours."""

    limit_net_fen: int
    other_net_fen: int


def told(asked: Asked, answer: Answer) -> Told | None:
    """None: nothing was said, what was known stays."""
    if not isinstance(answer, QuotaTold):
        return None
    return Told(answer.limit_net_fen, answer.used_net_fen - asked.issued_net_fen)


@dataclass(frozen=True)
class Waiting:
    """A part that is too much for what is left of the month, or was refused as too much; left is None if the platform has not said."""

    account_id: int
    part_id: int
    request_id: int
    legal_entity: str
    net_fen: int
    status: str
    told_month: str | None
    month: str
    left_net_fen: int | None
    claimed_at: datetime
    traceparent: str | None

    @property
    def fits(self) -> bool:
        """Whether it may go on. One that was refused is told to wait first, whatever we believe is left."""
        return self.told_month is not None and (self.left_net_fen is None or self.left_net_fen >= self.net_fen)

    @property
    def look_at(self) -> datetime:
        return self.claimed_at + timedelta(seconds=0.0 if self.fits else LOOK_SECONDS)


def waits(part: Waiting) -> list[PartWaitsForQuota]:
    """Said once a month, of each part that has to wait."""
    if part.fits or part.told_month == part.month:
        return []
    return [
        PartWaitsForQuota(
            account_id=part.account_id,
            request_id=part.request_id,
            part_id=part.part_id,
            legal_entity=part.legal_entity,
            month=part.month,
            needed_net_fen=part.net_fen,
            left_net_fen=None if part.left_net_fen is None else max(part.left_net_fen, 0),
        )
    ]
