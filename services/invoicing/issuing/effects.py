"""The tax platform of the seller is asked to issue a part, or what became of it. No transaction is open here."""

from services.invoicing.accounts.rules import Keys, Unseal
from services.invoicing.issuing.drafts import blue_draft
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.submissions.effects import ask
from services.invoicing.tax_platforms.port import Answer, BlueDraft, Failed, SubmitAnswer
from services.invoicing.tax_platforms.routing import Platforms
from shared.contracts.message import Erased
from shared.domain.catalogue import Catalogue
from shared.domain.refusals import Refusal, text_of


async def issue(part: ClaimedPart, *, platforms: Platforms, keys: Keys, catalogue: Catalogue) -> Answer:
    """A part whose title nobody can read any more fails: it has not gone out, or the platform has just said that it does not know it."""
    platform = platforms.of(part.legal_entity)

    async def draft(unseal: Unseal) -> BlueDraft:
        return blue_draft(part, unseal, catalogue)

    async def submit() -> SubmitAnswer:
        return await platform.submit(await keys.using(part.account_id, draft))

    try:
        return await ask(part, platform, submit)
    except Erased:
        return Failed(Refusal.ACCOUNT_DATA_ERASED, text_of(Refusal.ACCOUNT_DATA_ERASED).chinese)
