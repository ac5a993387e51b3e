"""What title does when an account is registered, registers anew or is closed: load, decide, save, answer."""

from collections.abc import Callable
from datetime import datetime

from asyncpg import Connection

from services.title.accounts import store as accounts
from services.title.accounts.rules import Account, Seal, WrappedKey, status_changed, status_registered
from services.title.recipients import store as recipients
from services.title.recipients.rules import recipient_changed
from services.title.titles import store as titles
from services.title.titles.rules import Title, follow_registration, titles_changed
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged
from shared.contracts.message import Message

NewKey = Callable[[], WrappedKey]


async def account_registered(
    fact: AccountRegistered, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    known = await accounts.registered(db, fact.account_id, fact.occurred_at, now)
    account = await accounts.keyed(db, known, new_key(), now)
    changed_titles = await _titles_follow(account, fact, db, now)
    kept = await recipients.keep_recipient(db, account, fact)
    return [
        *titles_changed(account, changed_titles, seal),
        *recipient_changed(account, fact, kept, seal),
        *status_registered(account),
    ]


async def registration_changed(
    fact: RegistrationChanged, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    known = await accounts.registered(db, fact.account_id, fact.occurred_at, now)
    account = await accounts.keyed(db, known, new_key(), now)
    return titles_changed(account, await _titles_follow(account, fact, db, now), seal)


async def account_closed(fact: AccountClosed, db: Connection, now: datetime) -> list[Message]:
    return status_changed(await accounts.closed(db, fact.account_id, now))


async def _titles_follow(
    account: Account, fact: AccountRegistered | RegistrationChanged, db: Connection, now: datetime
) -> list[Title]:
    """The titles that changed: the one that was active, and the one that is now."""
    change = follow_registration(account, await titles.active_titles(db, account.account_id), fact)
    retired = await titles.retire(db, account, change.retired)
    return [*retired, *await titles.add(db, account, change.added, now)]
