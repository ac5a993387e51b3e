"""From a registration to a title: who is called what, what is wrong with a code, and which registration counts."""

from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.title.accounts.rules import Account, status_changed, status_registered
from services.title.recipients.rules import recipient_changed
from services.title.titles.rules import (
    INDIVIDUAL,
    NO_CHANGE,
    Title,
    TitleChange,
    default_title,
    finding,
    follow_registration,
    titles_changed,
)
from shared.contracts.accounts import AccountRegistered, Registration, RegistrationChanged
from shared.contracts.titles import AccountStatusChanged, RecipientChanged, TitleChanged

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
CODE = "91330106673959654P"
FULL = {
    "tax_id": CODE,
    "address": "杭州市西湖区",
    "phone": "0571-10000000",
    "bank_name": "招商银行",
    "bank_account": "62220001",
}
OPEN = Account(1, "open", 4, NOW, None, "key")


def seal(wrapped_key: str, text: str, about: str) -> str:
    """Shows what was sealed, with which key, and for which place."""
    return f"sealed.v1.{wrapped_key}.{f'{about} {text}'.encode().hex()}"


def registration(kind: str = "enterprise", name: str = "示例科技有限公司", **fields: Any) -> Registration:  # noqa: ANN401
    return Registration.model_validate({"kind": kind, "name": name} | fields)


def registered(at: datetime = NOW, mailbox: str | None = "a@b.example", mobile: str | None = None) -> AccountRegistered:
    return AccountRegistered(account_id=1, occurred_at=at, registration=registration(), mailbox=mailbox, mobile=mobile)


BARE = Title(7, 4, "active", "enterprise", "示例", None, None, None, None, None)
COMPLETE = Title(7, 4, "active", "enterprise", "示例", *FULL.values())


def test_an_enterprise_is_titled_with_its_registered_name_and_everything_it_registered() -> None:
    title = default_title(registration(**FULL))
    assert astuple(title) == ("enterprise", "示例科技有限公司", *FULL.values())


def test_a_natural_person_is_titled_with_one_word_and_has_no_tax_id() -> None:
    title = default_title(registration("individual", "张三", tax_id="330106199001011234"))
    assert (title.kind, title.name, title.tax_id) == ("individual", INDIVIDUAL, None)


@pytest.mark.parametrize(
    ("kind", "tax_id", "code"),
    [
        ("enterprise", CODE, None),
        ("enterprise", "91110108769914581E", None),
        ("enterprise", "91330106673959654Q", "BAD_TAX_ID"),
        ("enterprise", "9133010667395965", "BAD_TAX_ID"),
        ("enterprise", "91330106673959654I", "BAD_TAX_ID"),
        ("enterprise", CODE.lower(), "BAD_TAX_ID"),
        ("enterprise", "", "BAD_TAX_ID"),
        ("enterprise", None, None),
        ("individual", None, None),
        ("individual", "anything", None),
    ],
)
def test_a_credit_code_that_fails_its_check_is_a_finding(kind: str, tax_id: str | None, code: str | None) -> None:
    found = finding(kind, tax_id)
    assert (found.code if found else None) == code


def test_a_finding_does_not_quote_the_code() -> None:
    found = finding("enterprise", "91330106673959654Q")
    assert found is not None
    assert "91330106" not in found.text


@pytest.mark.parametrize(("minutes", "counts"), [(-1, False), (0, True)])
def test_a_registration_counts_unless_a_later_one_is_known(minutes: int, counts: bool) -> None:
    fact = RegistrationChanged(
        account_id=1, occurred_at=NOW + timedelta(minutes=minutes), registration=registration(name="新名称")
    )
    change = follow_registration(OPEN, [BARE], fact)
    assert change == (TitleChange((BARE,), (default_title(fact.registration),)) if counts else NO_CHANGE)


def test_the_first_title_replaces_none() -> None:
    fact = registered()
    assert follow_registration(OPEN, [], fact) == TitleChange((), (default_title(fact.registration),))


def test_a_registration_that_says_the_same_changes_nothing() -> None:
    fact = RegistrationChanged(account_id=1, occurred_at=NOW, registration=registration(name="示例", **FULL))
    assert follow_registration(OPEN, [COMPLETE], fact) == NO_CHANGE
    assert follow_registration(OPEN, [replace(COMPLETE, phone="0571-2")], fact) != NO_CHANGE


def test_of_an_erased_account_nothing_is_told_until_it_registers_anew() -> None:
    erased = replace(OPEN, erased_at=NOW)
    assert (erased.erased, replace(erased, registered_at=NOW + timedelta(seconds=1)).erased) == (True, False)
    assert (status_registered(erased), status_registered(OPEN)) == ([], status_changed(OPEN))
    assert (
        follow_registration(
            erased,
            [],
            RegistrationChanged(account_id=1, occurred_at=NOW - timedelta(days=1), registration=registration()),
        )
        == NO_CHANGE
    )


def test_a_title_is_told_in_full_sealed_with_the_key_of_its_account() -> None:
    (told,) = titles_changed(OPEN, [COMPLETE], seal)
    assert isinstance(told, TitleChanged)
    assert (told.account_id, told.title_id, told.version, told.status) == (1, 7, 4, "active")
    assert told.name == seal("key", "示例", "1/name")
    assert {name: getattr(told, name) for name in FULL} == {
        name: seal("key", text, f"1/{name}") for name, text in FULL.items()
    }


def test_what_a_title_does_not_have_is_not_sealed() -> None:
    (told,) = titles_changed(OPEN, [BARE], seal)
    assert isinstance(told, TitleChanged)
    assert [getattr(told, name) for name in FULL] == [None] * len(FULL)


def test_a_recipient_is_told_sealed_or_not_at_all() -> None:
    (told,) = recipient_changed(OPEN, registered(), kept=True, seal=seal)
    assert told == RecipientChanged(
        account_id=1, version=4, mailbox=seal("key", "a@b.example", "1/mailbox"), mobile=None
    )
    assert recipient_changed(OPEN, registered(), kept=False, seal=seal) == []


@pytest.mark.parametrize("status", ["open", "closed"])
def test_the_status_is_told_with_its_version(status: str) -> None:
    account = Account(1, status, 9, None, None, "key")
    (told,) = status_changed(account)
    assert isinstance(told, AccountStatusChanged)
    assert (told.status, told.version) == (status, 9)
