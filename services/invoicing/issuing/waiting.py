"""A part that is too much for what is left of a seller's quota waits, and looks again; it is told to wait once a month (R-13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.invoicing.issuing.rules import NEXT_STATUS, StatusChange
from services.invoicing.quotas.rules import LOOK_SECONDS
from shared.contracts.invoicing import PartWaitsForQuota


@dataclass(frozen=True)
class WaitingPart:
    """A part that is too much for what is left of the month, or was refused as too much; left is None if the platform has not said."""

    account_id: int
    part_id: int
    request_id: int
    legal_entity: str
    net_fen: int
    status: str
    notified_month: str | None
    month: str
    left_net_fen: int | None
    claimed_at: datetime
    traceparent: str | None

    @property
    def fits(self) -> bool:
        """Whether it may go on. One that was refused is told to wait first, whatever we believe is left."""
        return self.notified_month is not None and (self.left_net_fen is None or self.left_net_fen >= self.net_fen)


@dataclass(frozen=True)
class Looked:
    """What comes of a look: it goes on, or waits and looks again."""

    change: StatusChange
    due_at: datetime
    notified_month: str | None
    messages: Sequence[PartWaitsForQuota]


def look(part: WaitingPart) -> Looked:
    status = NEXT_STATUS[part.status, "fits" if part.fits else "short"]
    change = StatusChange(part.account_id, part.part_id, part.status, status)
    if part.fits:
        return Looked(change, part.claimed_at, part.notified_month, ())
    again_at = part.claimed_at + timedelta(seconds=LOOK_SECONDS)
    return Looked(change, again_at, part.month, () if part.notified_month == part.month else (_told(part),))


def _told(part: WaitingPart) -> PartWaitsForQuota:
    return PartWaitsForQuota(
        account_id=part.account_id,
        request_id=part.request_id,
        part_id=part.part_id,
        legal_entity=part.legal_entity,
        month=part.month,
        needed_net_fen=part.net_fen,
        left_net_fen=None if part.left_net_fen is None else max(part.left_net_fen, 0),
    )
