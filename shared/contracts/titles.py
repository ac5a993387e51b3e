"""Facts of the title service on `title.events`: who may be invoiced, and where word is sent."""

from typing import ClassVar, Literal

from shared.contracts.accounts import Kind
from shared.contracts.message import AccountId, Code, Id, Message, Sealed


class TitleFact(Message):
    topic: ClassVar[str] = "title.events"


class SealingKeyIssued(TitleFact):
    """Written until 2026-11, with the account's data key. Keys have left the database of title since then, and nobody reads this."""

    wrapped_key: str | None = None


class TitleChanged(TitleFact):
    """One title in full, as of `version`; a lower version than one already seen is ignored. One title is active at most."""

    title_id: Id
    version: int
    status: Literal["active", "inactive"]
    kind: Kind
    name: Sealed
    tax_id: Sealed | None = None
    address: Sealed | None = None
    phone: Sealed | None = None
    bank_name: Sealed | None = None
    bank_account: Sealed | None = None


class RecipientChanged(TitleFact):
    """Where word about this account is sent, as of `version`."""

    version: int
    mailbox: Sealed | None = None
    mobile: Sealed | None = None


class AccountStatusChanged(TitleFact):
    """Whether the account may ask for invoices; `version` grows with each change."""

    version: int
    status: Literal["open", "closed"]


class AccountErasureStarted(TitleFact):
    """The account's personal data are to be erased: nothing new may begin, and what is under way for it ends. `version` is that of the
    erasure; who registers anew has a higher one."""

    version: int


class AccountErased(TitleFact):
    """The keys of all that was sealed for the account before `version` are dropped. Copies are worth nothing any more: drop them too."""

    version: int


class MemberChanged(TitleFact):
    """`account_id` manages `member_id` with these permissions, as of `version`; none means that the relation ended.

    Codes of the financial relation (https://help.aliyun.com/document_detail/472933.html), and OFFSET_MEMBER_DEFICITS of our own:
    the accounts may pay each other's deficits (D-20).
    """

    member_id: AccountId
    version: int
    permissions: tuple[Code, ...] = ()
