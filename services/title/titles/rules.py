"""Titles follow the real-name registration: one is active, the default one is what was registered (R-15).

An enterprise with a credit code that fails its check is registered all the same, for its bills are real and a mistyped code is
mended by registering again. Its title shows a finding, and invoicing, which checks what it is sent, refuses with BAD_TAX_ID.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from services.title.accounts.rules import Account, Seal
from shared.contracts.accounts import AccountRegistered, Registration, RegistrationChanged
from shared.contracts.message import Message
from shared.contracts.titles import TitleChanged
from shared.domain.credit_code import check_credit_code
from shared.domain.finding import Finding

INDIVIDUAL = "个人"
"""The default title of a natural person is this word, not the name."""
SEALED = ("name", "tax_id", "address", "phone", "bank_name", "bank_account")


@dataclass(frozen=True)
class NewTitle:
    """What a title says."""

    kind: str
    name: str
    tax_id: str | None
    address: str | None
    phone: str | None
    bank_name: str | None
    bank_account: str | None


@dataclass(frozen=True)
class Title:
    """A row of `title`; the version is that of its last change."""

    title_id: int
    version: int
    status: str
    kind: str
    name: str
    tax_id: str | None
    address: str | None
    phone: str | None
    bank_name: str | None
    bank_account: str | None

    def says(self, other: NewTitle) -> bool:
        return all(getattr(self, field.name) == getattr(other, field.name) for field in fields(NewTitle))


@dataclass(frozen=True)
class TitleChange:
    """What a registration does to the titles of its account."""

    retired: tuple[Title, ...] = ()
    added: tuple[NewTitle, ...] = ()


NO_CHANGE = TitleChange()


def follow_registration(
    account: Account, active: Sequence[Title], fact: AccountRegistered | RegistrationChanged
) -> TitleChange:
    """The title that was registered replaces the active one, unless a later registration is known or both say the same. Of two
    registrations of the same moment the last to arrive counts."""
    title = default_title(fact.registration)
    if fact.occurred_at != account.registered_at or any(one.says(title) for one in active):
        return NO_CHANGE
    return TitleChange(retired=tuple(active), added=(title,))


def default_title(registration: Registration) -> NewTitle:
    person = registration.kind == "individual"
    return NewTitle(
        registration.kind,
        INDIVIDUAL if person else registration.name,
        None if person else registration.tax_id,
        registration.address,
        registration.phone,
        registration.bank_name,
        registration.bank_account,
    )


def finding(kind: str, tax_id: str | None) -> Finding | None:
    """What is wrong with the credit code of a title, or None; a natural person has none, and may have none."""
    return None if kind == "individual" or tax_id is None else check_credit_code(tax_id)


def titles_changed(account: Account, titles: Sequence[Title], seal: Seal) -> list[Message]:
    return [_title_changed(account, title, seal) for title in titles]


def _title_changed(account: Account, title: Title, seal: Seal) -> TitleChanged:
    sealed: dict[str, Any] = {
        name: None
        if (text := getattr(title, name)) is None
        else seal(account.key, text, f"{account.account_id}/{name}")
        for name in SEALED
    }
    plain = {"title_id": title.title_id, "version": title.version, "status": title.status, "kind": title.kind}
    return TitleChanged.model_validate({"account_id": account.account_id} | plain | sealed)
