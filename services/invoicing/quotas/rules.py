"""What a seller may issue in a calendar month, tax not included (R-13): a part holds its net amount from its submission to its end.

The platform counts what all systems of a seller issue, and has the last word. What it says is used contains what we know to be issued;
the rest is what it counts beside. That is too much as long as an invoice of ours exists that we have not heard of, because it is
held as well; then it is right at the next look. As long as the platform has said nothing, parts are submitted, and it refuses by
itself what is too much.
"""

from dataclasses import dataclass
from datetime import datetime

from services.invoicing.tax_platforms.port import QuotaAnswer, QuotaTold

LOOK_SECONDS = 60.0
"""How often the platform is asked about a month in use, and how often a part that waits looks by itself."""


@dataclass(frozen=True)
class AskedQuota:
    """A seller's month about which the platform is asked; `issued_net_fen` is what of ours was issued before."""

    legal_entity: str
    month: str
    issued_net_fen: int
    ask_at: datetime
    """When it is asked next; whoever asks meanwhile has newer figures."""


@dataclass(frozen=True)
class QuotaFigures:
    """What the platform allows in a month, and what it counts beside ours; less than nothing if it does not count all of ours."""

    asked: AskedQuota
    limit_net_fen: int
    other_net_fen: int


@dataclass(frozen=True)
class QuotaChange:
    """More or less held and issued in a month, whatever is left of it. `ask_soon`: the platform refused what we thought was left."""

    legal_entity: str
    month: str
    held_net_fen: int = 0
    issued_net_fen: int = 0
    ask_soon: bool = False


def figures_of(asked: AskedQuota, answer: QuotaAnswer) -> tuple[QuotaFigures, ...]:
    """Nothing if the platform said nothing: what was known stays."""
    match answer:
        case QuotaTold(limit_net_fen=limit_fen, used_net_fen=used_fen):
            return (QuotaFigures(asked, limit_fen, used_fen - asked.issued_net_fen),)
        case _:
            return ()
