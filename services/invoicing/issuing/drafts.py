"""What the tax platform is asked to issue for a part."""

from datetime import datetime

from services.invoicing.accounts.rules import Unseal, unsealed
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.submissions.rules import Submission
from services.invoicing.tax_platforms.parties import DRAWER, buyer_of, seller_of
from services.invoicing.tax_platforms.port import BlueDraft, DraftLine
from shared.domain.catalogue import Catalogue


def blue_draft(part: ClaimedPart, unseal: Unseal, catalogue: Catalogue) -> BlueDraft:
    """The printed names follow the day of the claim; the platform decides the day of issue."""
    title = unsealed(part.account_id, part.title, unseal)
    return BlueDraft(
        serial=part.serial,
        kind=part.kind,
        seller=seller_of(catalogue.legal_entities[part.legal_entity]),
        buyer=buyer_of(title),
        lines=draft_lines(part, part.printed_at, 1, catalogue),
        gross_fen=part.gross_fen,
        net_fen=part.net_fen,
        tax_fen=part.tax_fen,
        remark=part.remark,
        drawer=DRAWER,
    )


def draft_lines(of: Submission, day: datetime, sign: int, catalogue: Catalogue) -> tuple[DraftLine, ...]:
    """Named as they are on that day; of a red invoice each amount is negative."""
    return tuple(
        DraftLine(
            catalogue.printed_name(line["content"], day),
            line["spec"] or "",
            sign * line["net_fen"],
            of.tax_percent,
            sign * line["tax_fen"],
            catalogue.contents[line["content"]].tax_code,
        )
        for line in of.lines
    )
