"""Seller and buyer as they stand on an invoice, whether it is drafted for a platform or printed."""

from services.invoicing.accounts.rules import Title
from services.invoicing.tax_platforms.port import Party
from shared.domain.catalogue import LegalEntity

DRAWER = "开票员"


def seller_of(entity: LegalEntity) -> Party:
    return Party(entity.name, entity.tax_id, entity.address, entity.phone, entity.bank_name, entity.bank_account)


def buyer_of(title: Title) -> Party:
    address, phone = title.registered_address or "", title.registered_phone or ""
    return Party(title.name, title.tax_id or "", address, phone, title.bank_name or "", title.bank_account or "")
