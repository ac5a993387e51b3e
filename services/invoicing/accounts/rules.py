"""What is known of an account that asks: its title as it will be printed, and who may invoice for whom (R-5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PRINTED = {"address": "registered_address", "phone": "registered_phone"}
"""Fields of a title whose printed name differs from the one they travel under."""
SEALED = "sealed."
MANAGES, FORBIDS, POOLS = "MANAGE_TARGET_INVOICE", "FORBID_MANAGE_INVOICE", "OFFSET_MEMBER_DEFICITS"
Unseal = Callable[[str, str, str], str]
"""From a wrapped key, a sealed value and what it is about to the text."""


@dataclass(frozen=True)
class Applicant:
    """An account that asks; `title` is its active title with the personal fields sealed.

    `members` are the accounts it manages, with its permissions; `granted` is what others may do who manage it.
    """

    status: str | None
    wrapped_key: str | None
    title: dict[str, Any] | None
    members: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()

    @property
    def may_invoice_its_own(self) -> bool:
        """Unless the account that manages it keeps invoicing to itself."""
        return FORBIDS not in self.granted

    def may_invoice_for(self, member_id: int) -> bool:
        return MANAGES in self.members.get(member_id, ())

    def pooled(self, account_id: int, accounts: Sequence[int]) -> tuple[int, ...]:
        """Of `accounts`, those that may pay each other's deficits (D-20); `account_id` is the applicant's own."""
        return tuple(one for one in accounts if one == account_id or POOLS in self.members.get(one, ()))


@dataclass(frozen=True)
class Title:
    """A title as it will be printed. The names of missing fields are those of the title page."""

    title_id: int
    version: int
    kind: str
    name: str
    tax_id: str | None = None
    registered_address: str | None = None
    registered_phone: str | None = None
    bank_name: str | None = None
    bank_account: str | None = None


def unsealed(account_id: int, title: dict[str, Any], wrapped_key: str | None, unseal: Unseal) -> Title:
    """A sealed title made readable, with the names its fields are printed under."""
    plain: dict[str, Any] = {
        PRINTED.get(name, name): unseal(wrapped_key or "", value, f"{account_id}/{name}")
        if str(value).startswith(SEALED)
        else value
        for name, value in title.items()
    }
    return Title(**plain)
