"""Where word about an account is sent."""

from services.title.accounts.rules import Account, Seal
from shared.contracts.accounts import AccountRegistered
from shared.contracts.message import Message
from shared.contracts.titles import RecipientChanged


def recipient_changed(account: Account, fact: AccountRegistered, kept: bool, seal: Seal) -> list[Message]:
    """Told in full; nothing when a later registration has named another recipient."""
    if not kept:
        return []
    mailbox, mobile = (
        None if text is None else seal(account.key, text, f"{account.account_id}/{name}")
        for name, text in (("mailbox", fact.mailbox), ("mobile", fact.mobile))
    )
    return [RecipientChanged(account_id=account.account_id, version=account.version, mailbox=mailbox, mobile=mobile)]
