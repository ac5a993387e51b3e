"""What is known of an account that asks: its title as it will be printed, and who may invoice for whom (R-5)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from shared.contracts.message import Erased

PRINTED = {"address": "registered_address", "phone": "registered_phone"}
"""Fields of a title whose printed name differs from the one they travel under."""
SEALED = "sealed."
MANAGES, FORBIDS, POOLS = "MANAGE_TARGET_INVOICE", "FORBID_MANAGE_INVOICE", "OFFSET_MEMBER_DEFICITS"
Unseal = Callable[[str, str], str]
"""From a sealed value and what it is about to the text; `Erased` if nobody can read it any more."""
T = TypeVar("T")


class Keys(Protocol):
    """Title's, which alone keeps them. Nothing of them is ever written down here."""

    async def using(self, account_id: int, work: Callable[[Unseal], Awaitable[T]]) -> T:
        """`work` with the account's keys; it may be called twice."""
        ...


@dataclass(frozen=True)
class Applicant:
    """An account that asks; `title` is its active title with the personal fields sealed.

    `members` are the accounts it manages, with its permissions; `granted` is what others may do who manage it. `erased`: its personal
    data are, or are being, erased, and it has not registered anew.
    """

    status: str | None
    title: dict[str, Any] | None
    erased: bool = False
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


def unsealed(account_id: int, title: dict[str, Any], unseal: Unseal) -> Title:
    """A sealed title made readable, with the names its fields are printed under."""
    if "name" not in title:  # its copy was dropped
        raise Erased
    plain: dict[str, Any] = {
        PRINTED.get(name, name): unseal(value, f"{account_id}/{name}") if str(value).startswith(SEALED) else value
        for name, value in title.items()
    }
    return Title(**plain)
