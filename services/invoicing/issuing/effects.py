"""The tax platform of the seller is asked to issue a part, or what became of it. No transaction is open here."""

from services.invoicing.accounts.rules import Unseal
from services.invoicing.issuing.drafts import blue_draft
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.submissions.effects import ask
from services.invoicing.tax_platforms.port import Answer
from services.invoicing.tax_platforms.routing import Platforms
from shared.domain.catalogue import Catalogue


async def issue(part: ClaimedPart, *, platforms: Platforms, unseal: Unseal, catalogue: Catalogue) -> Answer:
    platform = platforms.of(part.legal_entity)
    return await ask(part, platform, lambda: platform.submit(blue_draft(part, unseal, catalogue)))
