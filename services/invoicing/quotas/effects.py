"""The tax platform is asked about a quota. No transaction is open here."""

from services.invoicing.quotas.rules import AskedQuota
from services.invoicing.tax_platforms.port import QuotaAnswer
from services.invoicing.tax_platforms.routing import Platforms
from shared.domain.catalogue import Catalogue


async def ask_quota(asked: AskedQuota, *, platforms: Platforms, catalogue: Catalogue) -> QuotaAnswer:
    seller = catalogue.legal_entities[asked.legal_entity]
    return await platforms.of(asked.legal_entity).quota(seller.tax_id, asked.month)
