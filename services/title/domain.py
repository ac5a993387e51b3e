"""Titles follow the real-name registration: one is active, the default one is what was registered (R-15)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.accounts import Registration
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, RecipientChanged, SealingKeyIssued, TitleChanged

INDIVIDUAL = "个人"
"""The default title of a natural person is this word, not the name."""
SEALED = ("name", "tax_id", "address", "phone", "bank_name", "bank_account")

Seal = Callable[[str, str], str]
"""From a wrapped key and a text to the sealed value."""


@dataclass(frozen=True)
class Account:
    account_id: int
    status: str
    version: int
    wrapped_key: str


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


@dataclass(frozen=True)
class NewTitle:
    kind: str
    name: str
    tax_id: str | None
    address: str | None
    phone: str | None
    bank_name: str | None
    bank_account: str | None


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


def key_issued(account: Account, fresh: bool) -> list[Message]:
    """Before everything that is sealed with it; once."""
    return [SealingKeyIssued(account_id=account.account_id, wrapped_key=account.wrapped_key)] if fresh else []


def titles_changed(account: Account, titles: Sequence[Title], seal: Seal) -> list[Message]:
    return [_title_changed(account, title, seal) for title in titles]


def _title_changed(account: Account, title: Title, seal: Seal) -> TitleChanged:
    sealed: dict[str, Any] = {
        name: None if (text := getattr(title, name)) is None else seal(account.wrapped_key, text) for name in SEALED
    }
    plain = {"title_id": title.title_id, "version": title.version, "status": title.status, "kind": title.kind}
    return TitleChanged.model_validate({"account_id": account.account_id} | plain | sealed)


def recipient_changed(account: Account, mailbox: str | None, mobile: str | None, seal: Seal) -> list[Message]:
    sealed = [None if text is None else seal(account.wrapped_key, text) for text in (mailbox, mobile)]
    return [
        RecipientChanged(account_id=account.account_id, version=account.version, mailbox=sealed[0], mobile=sealed[1])
    ]


def status_changed(account: Account) -> list[Message]:
    return [
        AccountStatusChanged.model_validate(
            {"account_id": account.account_id, "version": account.version, "status": account.status}
        )
    ]
