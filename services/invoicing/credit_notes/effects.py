"""The tax platform of the seller is asked to credit an invoice, or what became of it. No transaction is open here."""

from services.invoicing.credit_notes.drafts import red_draft
from services.invoicing.credit_notes.rules import ClaimedCreditNote
from services.invoicing.submissions.effects import ask
from services.invoicing.tax_platforms.port import Answer
from services.invoicing.tax_platforms.routing import Platforms
from shared.domain.catalogue import Catalogue


async def credit(note: ClaimedCreditNote, *, platforms: Platforms, catalogue: Catalogue) -> Answer:
    platform = platforms.of(note.legal_entity)
    return await ask(note, platform, lambda: platform.submit_red(red_draft(note, catalogue)))
