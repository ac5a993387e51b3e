"""What title does with a registration, which several rooms know of: load, decide, save, answer."""

from collections.abc import Callable
from datetime import datetime

from asyncpg import Connection

from services.title.accounts import store as accounts
from services.title.accounts.rules import Seal, key_issued, status_changed
from services.title.recipients import store as recipients
from services.title.recipients.rules import recipient_changed
from services.title.titles import store as titles
from services.title.titles.rules import title_after, titles_changed
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged
from shared.contracts.message import Message

NewKey = Callable[[], str]


async def account_registered(
    fact: AccountRegistered, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    account, fresh = await accounts.next_version(db, fact.account_id, new_key(), None, fact.occurred_at, now)
    changed_titles = await titles.replace_active_title(db, account, title_after(account, fact), now)
    changed = await recipients.set_recipient(db, account, fact)
    return [
        *key_issued(account, fresh),
        *titles_changed(account, changed_titles, seal),
        *recipient_changed(account, fact, changed, seal),
        *status_changed(account),
    ]


async def registration_changed(
    fact: RegistrationChanged, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    account, fresh = await accounts.next_version(db, fact.account_id, new_key(), None, fact.occurred_at, now)
    changed_titles = await titles.replace_active_title(db, account, title_after(account, fact), now)
    return [*key_issued(account, fresh), *titles_changed(account, changed_titles, seal)]


async def account_closed(fact: AccountClosed, db: Connection, now: datetime, *, new_key: NewKey) -> list[Message]:
    account, fresh = await accounts.next_version(db, fact.account_id, new_key(), "closed", None, now)
    return [*key_issued(account, fresh), *status_changed(account)]
