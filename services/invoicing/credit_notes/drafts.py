"""What the tax platform is asked to issue for a credit note."""

from services.invoicing.credit_notes.rules import ClaimedCreditNote
from services.invoicing.issuing.drafts import draft_lines
from services.invoicing.tax_platforms.port import RedDraft
from shared.domain.catalogue import Catalogue


def red_draft(note: ClaimedCreditNote, catalogue: Catalogue) -> RedDraft:
    """The lines of the blue invoice under the same names, each amount negative: mirrored, never computed again (R-14)."""
    return RedDraft(
        serial=note.serial,
        blue_number=note.blue_number,
        seller_tax_id=catalogue.legal_entities[note.legal_entity].tax_id,
        reason=note.red_reason,
        lines=draft_lines(note, note.blue_issued_at, -1, catalogue),
        gross_fen=note.gross_fen,
        net_fen=note.net_fen,
        tax_fen=note.tax_fen,
        remark=note.remark,
        form_number=note.requested_form_number,
    )
