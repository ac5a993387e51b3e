"""What the tax platform is asked to issue for a credit note."""

from services.invoicing.credit_notes.rules import ClaimedCreditNote
from services.invoicing.issuing.drafts import draft_lines
from services.invoicing.tax_platforms.port import RedDraft
from shared.domain.catalogue import Catalogue
from shared.domain.red import red_split
from shared.domain.tax import TaxSplit


def red_draft(note: ClaimedCreditNote, catalogue: Catalogue) -> RedDraft:
    """The lines of the blue invoice under the same names, each amount negative: mirrored, never computed again (R-14).

    All that is left of the blue invoice is taken back, for it is credited in full (D-26).
    """
    left = TaxSplit(-note.gross_fen, -note.net_fen, -note.tax_fen)
    red = red_split(left, -left.gross_fen, note.tax_percent)
    return RedDraft(
        serial=note.serial,
        blue_number=note.blue_number,
        seller_tax_id=catalogue.legal_entities[note.legal_entity].tax_id,
        reason=note.red_reason,
        lines=draft_lines(note, note.blue_issued_at, -1, catalogue),
        gross_fen=red.gross_fen,
        net_fen=red.net_fen,
        tax_fen=red.tax_fen,
        remark=note.remark,
        form_number=note.requested_form_number,
    )
