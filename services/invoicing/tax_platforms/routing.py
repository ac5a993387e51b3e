"""Which tax platform issues for which seller."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.invoicing.tax_platforms.port import TaxPlatform


@dataclass(frozen=True)
class Platforms:
    """`by_legal_entity` names the sellers that issue through another platform than the usual one."""

    usual: TaxPlatform
    by_legal_entity: Mapping[str, TaxPlatform]

    def of(self, legal_entity: str) -> TaxPlatform:
        return self.by_legal_entity.get(legal_entity, self.usual)

    def each(self) -> list[TaxPlatform]:
        """Every platform once, to be opened and closed."""
        return list({id(one): one for one in (self.usual, *self.by_legal_entity.values())}.values())
