"""What the account system publishes to `account.events`. Upstream has no keys of ours, so names arrive in clear here only."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.message import (
    WRITABLE,
    AccountId,
    BusinessMoment,
    Code,
    DocumentFen,
    Frozen,
    Message,
    Number,
    Text,
)

Kind = Literal["individual", "enterprise"]


class AccountFact(Message):
    topic: ClassVar[str] = "account.events"

    occurred_at: BusinessMoment


class Registration(Frozen):
    """The real-name registration. An enterprise has a legal name and a unified social credit code (18 characters)."""

    kind: Kind
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=WRITABLE)]
    tax_id: Annotated[str, Field(max_length=20, pattern=WRITABLE)] | None = None
    address: Text | None = None
    phone: Text | None = None
    bank_name: Text | None = None
    bank_account: Text | None = None


class AccountRegistered(AccountFact):
    """An account passed real-name registration; the default title follows from it."""

    registration: Registration
    mailbox: Annotated[str, Field(max_length=200, pattern=WRITABLE)] | None = None
    mobile: Annotated[str, Field(max_length=32, pattern=WRITABLE)] | None = None


class RegistrationChanged(AccountFact):
    registration: Registration


class AccountClosed(AccountFact):
    """No new requests from here on (D-33); invoice files stay downloadable."""


class RelationChanged(AccountFact):
    """`account_id` manages `member_id` with these permissions; none means that the relation ended."""

    member_id: AccountId
    permissions: Annotated[tuple[Code, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _of_two_accounts(self) -> Self:
        if self.member_id == self.account_id:
            raise ValueError(f"account {self.account_id} can't be a member of itself")
        return self


class CashToppedUp(AccountFact):
    """Money in. It is not invoiceable: only spending is (R-1)."""

    number: Number
    cash_fen: Annotated[DocumentFen, Field(ge=1)]
